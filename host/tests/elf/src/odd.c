/* What isn't a new symbol, and is new all the same: a weak handler that is filled in, code without a name, an absolute
   symbol of the linker's, a word in code, a function that is called like the linker's own. */
typedef unsigned uint32_t;
volatile uint32_t out;

void fault(void);
void reset(void);
#ifdef HANDLER
/* As from another file: the weak ones give way. */
void uart(void) { out = 1234; }
void hook(void) { out = 4321; }
#else
void uart(void) __attribute__((weak, alias("fault")));
void hook(void) __attribute__((weak, alias("fault")));
#endif
extern char stack_top[], FEATURE[];

__attribute__((section(".vectors"), used)) const void *const vectors[5] = {stack_top, reset, fault, uart, fault};

void fault(void)
{
    for (;;)
        out++;
}

/* Code and a word that no symbol names, behind a function. */
__asm__(".pushsection .text.words, \"ax\", %progbits\n"
        ".thumb\n.thumb_func\n.global flag\n.type flag, %function\n"
        "flag: ldr r0, .Lflag\n bx lr\n .size flag, . - flag\n"
        ".align 2\n.Lflag: .word " FLAG "\n"
#ifdef NAMELESS
        ".Lnameless: movs r0, #7\n lsls r0, r0, #4\n eors r0, r1\n bx lr\n"
        ".thumb_func\n.global entry\n.type entry, %function\n"
        "entry: push {lr}\n bl .Lnameless\n pop {pc}\n .size entry, . - entry\n"
#else
        ".thumb_func\n.global entry\n.type entry, %function\n"
        "entry: push {lr}\n movs r0, #3\n pop {pc}\n .size entry, . - entry\n"
#endif
        ".popsection\n");
uint32_t flag(void);
uint32_t entry(void);

#ifdef VENEER
static __attribute__((noinline)) void __fault_veneer(void) { out = 99; }
#endif

void reset(void)
{
    uint32_t feature = (uint32_t)FEATURE;
    __asm__("" : "+r"(feature));
    if (feature)
        out = 77;
    out = flag() + entry();
    hook();
#ifdef VENEER
    __fault_veneer();
#endif
    fault();
}
