#pragma once

namespace mutua {

// What a thread asks of the kernel's scheduler, for itself alone. Wishes: where the kernel does not
// know or allow them, everything works as before.

// For a thread whose work comes in short turns that somebody waits for: it asks for short slices,
// so that from Linux 6.12 on it runs as soon as it wakes, in front of those that would use up a
// slice of milliseconds first. It gets no larger share of the processor by that.
void ask_for_short_slices();

// For a thread whose work is not as urgent as that of its neighbours, who would else owe it an equal
// share of their processor: it steps back behind them.
void step_back();

// Between the steps of long work, and holding no lock: a thread that stepped back lets those run who
// wait for its processor. The kernel alone may do that only at its next tick, which takes up to
// four milliseconds where it ticks 250 times a second. A thread that others kept waiting goes on for
// a quarter of that time first, so that nobody can take all of its processor. Costs a look at the
// clock; does nothing in a thread that never stepped back.
void give_way();

// For a thread whose work may as well be left undone: it runs when no other wants its processor.
void take_only_what_is_left();

}  // namespace mutua
