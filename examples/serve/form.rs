//! Photos in forms, as browsers and `curl -F` send them: `multipart/form-data` (RFC 7578).

/// A file of a form.
#[derive(Debug, PartialEq)]
pub struct File<'a> {
    /// As the client calls it.
    pub name: String,
    pub bytes: &'a [u8],
}

/// The files in a form's body; `None` if `content_type` tells of no form.
pub fn files<'a>(content_type: &str, body: &'a [u8]) -> Option<Result<Vec<File<'a>>, &'static str>> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    is_form.then(|| match parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty()) {
        Some(boundary) => parts(body, &boundary),
        None => Err("the form's Content-Type tells no boundary"),
    })
}

fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<File<'a>>, &'static str> {
    const CUT_OFF: &str = "the form ends before its last boundary";
    let delimiter = format!("\r\n--{boundary}");
    // The first one has no line before it, or what is there means nothing.
    let first = &delimiter.as_bytes()[2..];
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => split(body, delimiter.as_bytes()).ok_or("the form has no boundary of those that it tells")?.1,
    };
    let mut files = Vec::new();
    while !rest.starts_with(b"--") {
        // Blanks may follow a boundary.
        let (_, part) = split(rest, b"\r\n").ok_or(CUT_OFF)?;
        let (content, after) = split(part, delimiter.as_bytes()).ok_or(CUT_OFF)?;
        // A part without headers begins with the empty line that ends them.
        let (headers, bytes) = match content.strip_prefix(b"\r\n") {
            Some(bytes) => (&b""[..], bytes),
            None => split(content, b"\r\n\r\n").ok_or("a part of the form has no end of its headers")?,
        };
        if let Some(name) = file_name(&String::from_utf8_lossy(headers)) {
            files.push(File { name, bytes });
        }
        rest = after;
    }
    Ok(files)
}

/// The name of the file that a part holds; `None` for another field.
fn file_name(headers: &str) -> Option<String> {
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then(|| value.to_owned())
    };
    let disposition = headers.split("\r\n").find_map(named)?;
    let (_, parameters) = disposition.split_once(';')?;
    parameter(parameters, "filename")
}

/// A parameter of a header, such as `a.jpg` for `filename` in `name="photo"; filename="a.jpg"`.
fn parameter(mut parameters: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, rest) = parameters.split_once('=')?;
        let (value, rest) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                (value.trim().to_owned(), rest)
            }
        };
        if name.trim_matches([';', ' ', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        parameters = rest;
    }
}

/// What stands before the closing quote, in which `\` means the character behind it, and what stands behind.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    (value, "")
}

/// What stands before the first `mark`, and behind it.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    // The first byte is looked for alone, which is quicker.
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == mark[0])?;
        match bytes[at..].strip_prefix(mark) {
            Some(behind) => return Some((&bytes[..at], behind)),
            None => from = at + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(content_type: &str, body: &'a str) -> Result<Vec<(String, &'a str)>, &'static str> {
        let files = files(content_type, body.as_bytes()).expect("a form")?;
        Ok(files.into_iter().map(|file| (file.name, str::from_utf8(file.bytes).unwrap())).collect())
    }

    #[test]
    fn files_are_found_among_the_parts() {
        let part = |headers: &str, content: &str| format!("--b\r\n{headers}\r\n\r\n{content}\r\n");
        let photo = part(
            "Content-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg",
            "A\r\n--\r\nB",
        );
        let other = part("content-disposition: form-data; name=\"filename\"", "no file");
        let quoted = part(r#"Content-Disposition: form-data; filename="a \"b\"; c.jpg"; name=x"#, "");
        let body = format!("preamble\r\n{photo}{other}{quoted}--b--\r\nepilogue");
        let wanted =
            [("a.jpg", "A\r\n--\r\nB"), ("a \"b\"; c.jpg", "")].map(|(name, bytes)| (name.to_owned(), bytes));
        for body in [body.as_str(), &body["preamble\r\n".len()..]] {
            assert_eq!(read("multipart/form-data; boundary=b", body), Ok(wanted.to_vec()));
            assert_eq!(read("Multipart/Form-Data;charset=x; boundary=\"b\"", body), Ok(wanted.to_vec()));
        }
        assert_eq!(read("multipart/form-data; boundary=b", "--b--"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_form_is_told() {
        assert_eq!(files("image/jpeg", b""), None);
        for (content_type, body) in [
            ("multipart/form-data", "--b--"),
            ("multipart/form-data; boundary=", "----"),
            ("multipart/form-data; boundary=c", "--b--"),
            ("multipart/form-data; boundary=b", "--b"),
            ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: x"),
            ("multipart/form-data; boundary=b", "--b\r\nA: b\r\n\r\n content"),
            ("multipart/form-data; boundary=b", "--b\r\nA: b\r\n--b--"),
        ] {
            assert!(read(content_type, body).is_err(), "{content_type} {body}");
        }
    }
}
