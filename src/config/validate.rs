//! What keys must be to one another: conflicts, orders, companions. One rule, one function; none stops at its first problem.

use std::path::Path;

use super::read::Reader;

pub(super) fn validate(_reader: &mut Reader<'_>, _directory: &Path) {}
