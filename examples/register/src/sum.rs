//! The sum of two JSON numbers.

use serde_json::Number;

/// `a + b`, exact for integers. `None` if it does not fit: above `u64::MAX`, below `i64::MIN`, or not finite.
pub(crate) fn sum(a: &Number, b: &Number) -> Option<Number> {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        return Number::from_i128(a + b);
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let rows = [
            ("1", "2", Some("3")),
            ("1", "-2", Some("-1")),
            ("0.5", "1", Some("1.5")),
            ("1.5", "-1.5", Some("0.0")),
            ("9223372036854775807", "1", Some("9223372036854775808")),
            ("18446744073709551615", "0", Some("18446744073709551615")),
            ("18446744073709551615", "1", None),
            ("18446744073709551615", "18446744073709551615", None),
            (
                "18446744073709551615",
                "-9223372036854775808",
                Some("9223372036854775807"),
            ),
            ("-9223372036854775808", "-1", None),
            ("-9223372036854775808", "0", Some("-9223372036854775808")),
            ("1.7e308", "1.7e308", None),
        ];
        for (a, b, expected) in rows {
            let parse = |text: &str| serde_json::from_str::<Number>(text);
            let (Ok(a), Ok(b)) = (parse(a), parse(b)) else {
                panic!("{a} and {b} are numbers");
            };
            let sum = sum(&a, &b).map(|number| number.to_string());
            assert_eq!(sum.as_deref(), expected, "{a} + {b}");
        }
    }
}
