//! Sizes as people write them: `4096`, `64M`, `4KiB`, `1g`. Units are powers of 1024.

/// The size that this text means, in bytes.
///
/// # Errors
/// Says which forms are understood.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => {
            return Err(
                "a size is a number of bytes, or one with K, M, G or T: 4096, 4K, 64MiB".to_owned()
            );
        }
    };
    let number: u64 =
        number.parse().map_err(|_| "a size begins with a number below 2^64".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "a size is below 2^64 bytes".to_owned())
}

/// The same for sizes that fit into 32 bits.
///
/// # Errors
/// As [`parse`], or the size is 4 GiB or more.
pub(crate) fn parse_u32(text: &str) -> Result<u32, String> {
    u32::try_from(parse(text)?).map_err(|_| "this size is below 4G".to_owned())
}

/// A size for people: the largest unit that leaves a number of at most four digits.
pub(crate) fn show(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        let one = 1_u64 << shift;
        if bytes >= one {
            let tenths = (u128::from(bytes) * 10 + u128::from(one) / 2) >> shift;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 {
                format!("{whole} {unit}")
            } else {
                format!("{whole}.{tenth} {unit}")
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("4096", 4096),
            ("0", 0),
            ("64M", 64 << 20),
            ("4KiB", 4096),
            ("4 kb", 4096),
            ("2g", 2 << 30),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "4X", "-1", "1.5M", "99999999999999999999", "16777216T"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_u32("4G").is_err());
    }

    #[test]
    fn sizes_are_shown_short() {
        assert_eq!(show(0), "0 B");
        assert_eq!(show(4096), "4 KiB");
        assert_eq!(show(1536 << 10), "1.5 MiB");
        assert_eq!(show(u64::MAX), "16777216 TiB");
    }
}
