//! Bytes in lower-case hexadecimal, written and read in one way.

/// Two digits a byte.
pub(crate) fn write(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes, in lower case and nothing beside.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = text.len() == 2 * N && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    lower.then_some(bytes)
}

/// However many, in lower case and nothing beside.
pub(crate) fn read_all(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(read::<1>).map(|[byte]| byte);
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_number_of_bytes() {
        assert_eq!(super::read_all("00a5ff"), Some(vec![0, 0xa5, 0xff]));
        assert_eq!(super::read_all(""), Some(vec![]));
        for wrong in ["0", "00a", "0A", "é0", "0 "] {
            assert_eq!(super::read_all(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_way_to_write_and_read() {
        assert_eq!(super::write(&[0, 0xa5]), "00a5");
        assert_eq!(super::read("00a5"), Some([0, 0xa5]));
        for wrong in ["00A5", "00a", "00a5 ", "", "+0a5", "00é"] {
            assert_eq!(super::read::<2>(wrong), None, "{wrong}");
        }
    }
}
