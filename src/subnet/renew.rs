//! When to refresh the own lease. A small state machine: the keeper feeds it what happened and asks
//! for the next deadline.
