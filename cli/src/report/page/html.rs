//! Escapes text for HTML.

/// Text as HTML. Characters that XML does not allow are dropped.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' | '\t' => html.push(letter),
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            _ => html.push(letter),
        }
    }
    html
}

/// A `data:` URL that contains a file.
pub(super) fn data_url(kind: &str, text: &str) -> String {
    let mut url = format!("data:{kind};charset=utf-8,");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~,:/+=".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_no_markup() {
        assert_eq!(escaped("<a href=\"x\">&'\u{1b}é"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;é");
        assert_eq!(data_url("text/csv", "a,\"b\"\n1%,é"), "data:text/csv;charset=utf-8,a,%22b%22%0A1%25,%C3%A9");
    }
}
