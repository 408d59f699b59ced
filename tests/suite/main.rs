//! End-to-end tests: real components in the real host against real servers.

mod fixture;
mod smoke;
