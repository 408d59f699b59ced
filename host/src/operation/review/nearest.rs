//! The name that was meant.

/// The one of `known` that `name` most likely stands for, if one is close.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase();
    let letters = name.chars().count();
    known
        .into_iter()
        .filter_map(|known| {
            let other = known.to_lowercase();
            let distance = strsim::damerau_levenshtein(&name, &other);
            // A name within the other is as close as it is long: `total` for `total_cents`.
            let within = letters > 2 && (other.contains(&name) || name.contains(&other));
            let close = distance <= (letters / 3).max(1) || within;
            close.then_some((distance, known))
        })
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_and_others() {
        let known = ["id", "customer_id", "total_cents", "placed_at", "status"];
        for (name, expected) in [
            ("custommer_id", Some("customer_id")),
            ("customerid", Some("customer_id")),
            ("total", Some("total_cents")),
            ("palced_at", Some("placed_at")),
            ("Status", Some("status")),
            ("di", Some("id")),
            ("weight", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest("a", []), None);
    }
}
