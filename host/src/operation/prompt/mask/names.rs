//! What a column's name says of its values.

use super::MaskRule;

/// The words of a name that say it, and what a name without its word breaks may have in it.
const WORDS: &[(MaskRule, &[&str], &[&str])] = &[
    (
        MaskRule::Email,
        &["email", "emails", "mail", "mailto"],
        &["email"],
    ),
    (
        MaskRule::Phone,
        &[
            "phone",
            "phones",
            "tel",
            "telephone",
            "telefon",
            "mobile",
            "mobil",
            "cell",
            "fax",
            "msisdn",
            "whatsapp",
            "sms",
        ],
        &["phone", "telefon", "mobilenumber"],
    ),
    (
        MaskRule::Card,
        &["card", "cards", "cc", "pan", "cvv", "cvc"],
        &["creditcard", "cardnumber", "cardno", "kreditkarte"],
    ),
    (
        MaskRule::Iban,
        &["iban", "ibans", "bic", "swift"],
        &["bankaccount", "accountnumber", "accountno", "kontonummer"],
    ),
    (
        MaskRule::Ip,
        &["ip", "ips", "ipv4", "ipv6", "ipaddr", "inet"],
        &["ipaddress"],
    ),
    (
        MaskRule::Url,
        &[
            "url", "urls", "uri", "link", "links", "href", "website", "homepage", "web",
        ],
        &["website"],
    ),
    (
        MaskRule::Name,
        &[
            "name", "names", "surname", "forename", "nickname", "initials", "contact", "person",
            "vorname", "nachname", "login", "fname", "lname",
        ],
        &[
            "firstname",
            "lastname",
            "fullname",
            "givenname",
            "familyname",
            "middlename",
            "maidenname",
            "username",
            "displayname",
            "customername",
            "contactname",
        ],
    ),
];

/// The rule among these that the name of a column says.
pub fn rule(rules: &[MaskRule], name: &str) -> Option<MaskRule> {
    let words = words(name);
    let joined = words.concat();
    let says = |(rule, whole, within): &&(MaskRule, &[&str], &[&str])| {
        rules.contains(rule)
            && (words.iter().any(|word| whole.contains(&word.as_str()))
                || within.iter().any(|part| joined.contains(part)))
    };
    WORDS.iter().find(says).map(|(rule, ..)| *rule)
}

/// The words of `customerEMail`, `customer_email`, `Customer E-Mail`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let breaks = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if breaks {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_say_what_is_in_them() {
        for (name, expected) in [
            ("email", Some(MaskRule::Email)),
            ("Customer E-Mail", Some(MaskRule::Email)),
            ("billingEmailAddress", Some(MaskRule::Email)),
            ("PHONE_NO", Some(MaskRule::Phone)),
            ("homephone", Some(MaskRule::Phone)),
            ("cc_number", Some(MaskRule::Card)),
            ("iban", Some(MaskRule::Iban)),
            ("last_ip", Some(MaskRule::Ip)),
            ("ipAddress", Some(MaskRule::Ip)),
            ("homepage", Some(MaskRule::Url)),
            ("first_name", Some(MaskRule::Name)),
            ("lastname", Some(MaskRule::Name)),
            ("Name", Some(MaskRule::Name)),
            ("zip", None),
            ("shipped", None),
            ("total", None),
            ("cardinality", None),
            ("hotel", None),
            ("expanse", None),
        ] {
            assert_eq!(rule(MaskRule::ALL, name), expected, "{name}");
        }
        assert_eq!(rule(&[MaskRule::Ip], "email"), None);
    }
}
