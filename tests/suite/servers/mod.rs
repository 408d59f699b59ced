//! Servers that are hostile or fail, and networks that do: each ends in an error of the right
//! kind, none in fewer rows than there are, and the host and its other connections go on.

mod case;
mod catalog;
mod copies;
mod faults;
mod leaks;
mod limits;
mod login;
mod meddler;
mod messages;
mod peer;
mod queries;
mod truncation;
