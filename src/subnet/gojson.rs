//! JSON objects by the rules of Go's decoder, which are part of flannel's contract
//! (flannel-compat 1.1): keys match without case, the last duplicate wins, unknown keys are ignored.
