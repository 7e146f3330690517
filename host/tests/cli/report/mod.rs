//! `report`: made of an archive alone, the same bytes each time, nothing hidden and nothing let through.

mod hostile;
mod sample;
mod story;
