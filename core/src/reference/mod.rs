//! A plain backend: loops, hand-written gradients, no haste. It is what every other backend is held to.
