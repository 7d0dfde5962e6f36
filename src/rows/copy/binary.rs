//! Which rows may pass in the server's binary form: of the very same plain types on both sides.

use crate::data::catalog::Column;
use crate::rows::plain_types::is_plain;

/// Whether the rows of these columns may pass in binary form, into columns of the very same types.
pub(super) fn is_binary(from: &[Column], to: &[Column]) -> bool {
    from.len() == to.len()
        && from.iter().zip(to).all(|(from, to)| from.type_name == to.type_name && is_plain(&from.type_name))
}
