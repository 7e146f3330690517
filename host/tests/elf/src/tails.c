/* Texts that others end with, and the empty one: a linker lays them into one another. */
const char *volatile shown;

#ifdef MORE
void earlier(void) { shown = "nothing of this was there"; }
#endif
void level(void) { shown = "water level"; }
void nothing(void) { shown = ""; }
#ifdef MORE
void more(void)
{
    shown = "a text before the others";
    shown = "level";
}
#endif

void reset(void)
{
    level();
    nothing();
#ifdef MORE
    earlier();
    more();
#endif
}
