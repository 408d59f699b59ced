//! Operations, against a real server.

mod review;
