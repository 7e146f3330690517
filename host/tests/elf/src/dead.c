/* Code that the linker leaves out: its debug information stays, and says that it lies at 0, where this flash begins. */
volatile int out;

void live(int value);
void dead(void);
void reset(void);
extern char stack_top[];

__attribute__((section(".vectors"), used)) const void *const vectors[4] = {stack_top, (const void *)reset};

void live(int value)
{
#ifdef FIX
    if (value > 9) {
        return;
    }
#endif
    out = value;
}

void reset(void) { live(out); }

void dead(void)
{
    out = 1000;
    out = 8919;
    out = 16838;
    out = 24757;
    out = 32676;
    out = 40595;
    out = 48514;
    out = 56433;
    out = 64352;
    out = 72271;
    out = 80190;
    out = 88109;
    out = 96028;
    out = 103947;
    out = 111866;
    out = 119785;
    out = 127704;
    out = 135623;
    out = 143542;
    out = 151461;
    out = 159380;
    out = 167299;
    out = 175218;
    out = 183137;
}
