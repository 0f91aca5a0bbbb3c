//! Guardians and ceremonies, from the client's cryptography to the rows.

mod address;
mod circle;
mod crash;
mod flow;
mod foreign;
mod holders;
mod keys;
mod mutual;
mod narrowed;
mod races;
mod refusals;
mod rewrap;
mod sessions;
mod shares;
mod steps;
mod suspended;
mod ways_round;
