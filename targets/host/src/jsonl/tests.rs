//! Lines that are read, lines that are refused, and lines that come back as they were.

use super::read::LINE_BYTES_MAX;
use super::*;
use crate::operation::Operation;
use kausaldb::{BlockId, ContextBlock, EdgeKind, GraphEdge};

const ID: &str = "0123456789abcdef0123456789abcdef";

fn reason(line: &str) -> String {
    parse(line.as_bytes()).unwrap_err().to_string()
}

fn round_trip(block: &ContextBlock<'_>) -> String {
    let line = put_line(block).unwrap();
    let Operation::Put(parsed) = parse(line.as_bytes()).unwrap() else {
        panic!("not a put: {line}")
    };
    assert_eq!(parsed.as_block(), *block);
    assert_eq!(put_line(&parsed.as_block()).unwrap(), line);
    line
}

fn block<'a>(metadata: &'a [u8], content: &'a [u8]) -> ContextBlock<'a> {
    ContextBlock {
        id: ID.parse().unwrap(),
        version: u64::MAX,
        source_uri: "a/\"b\".rs",
        metadata,
        content,
    }
}

#[test]
fn a_line_is_written_as_the_format_says() {
    assert_eq!(
        round_trip(&block(br#"{"name":"f"}"#, b"fn f() {}\n")),
        format!(
            r#"{{"put":{{"id":"{ID}","version":18446744073709551615,"source_uri":"a/\"b\".rs","#
        ) + r#""metadata":{"name":"f"},"content":"fn f() {}\n"}}"#
    );
    let edge = GraphEdge {
        source: BlockId::from_u128(1),
        kind: EdgeKind::CALLS,
        target: BlockId::from_u128(2),
    };
    let line = link_line(&edge).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"link":{"source":"00000000000000000000000000000001","kind":"calls","#,
            r#""target":"00000000000000000000000000000002"}}"#
        )
    );
    assert_eq!(parse(line.as_bytes()).unwrap(), Operation::Link(edge));
    let numbered = GraphEdge { kind: EdgeKind(12), ..edge };
    let line = link_line(&numbered).unwrap();
    assert!(line.contains(r#""kind":12,"#), "{line}");
    assert_eq!(parse(line.as_bytes()).unwrap(), Operation::Link(numbered));
}

#[test]
fn every_metadata_and_content_survives_the_way_out_and_in() {
    let metadata: [&[u8]; 12] = [
        b"",
        b"null",
        b" 1",
        b"1 ",
        b"{ \"a\" : 1.000 }",
        b"[1e400]",
        b"{\"a\":1,\"a\":2}",
        b"not json",
        b"{\"a\":\n1}",
        b"\xff",
        br#""\u0061""#,
        b"{}{}",
    ];
    let content: [&[u8]; 5] =
        [b"", b"\0\x01\x7f", "é\u{2028}😀".as_bytes(), b"\xff\xfe", b"\r\n\"\\"];
    for metadata in metadata {
        for content in content {
            let line = round_trip(&block(metadata, content));
            assert!(!line.contains('\n'));
        }
    }
    assert!(
        round_trip(&block(b"{ \"a\" : 1.000 }", b"")).contains(r#""metadata":{ "a" : 1.000 },"#)
    );
    assert!(round_trip(&block(b"1", b"\xff\xfe")).contains(r#""content_base64":"//4=""#));
    assert!(round_trip(&block(b"", b"")).contains(r#""metadata_base64":"""#));
}

#[test]
fn a_line_that_is_not_exactly_one_operation_is_refused_with_a_reason() {
    let put = |fields: &str| {
        format!(r#"{{"put":{{"id":"{ID}","version":1,"source_uri":"u",{fields}}}}}"#)
    };
    let cases = [
        ("".to_owned(), "is empty"),
        ("{}".to_owned(), "expected value"),
        ("[]".to_owned(), "expected"),
        ("{\"put\"".to_owned(), "EOF"),
        (r#"{"erase":{}}"#.to_owned(), "unknown variant `erase`"),
        (format!(r#"{{"delete":{{"id":"{ID}"}},"delete":{{"id":"{ID}"}}}}"#), "expected"),
        (format!(r#"{{"delete":{{"id":"{ID}"}}}} x"#), "trailing characters"),
        (format!(r#"{{"delete":{{"id":"{ID}","x":1}}}}"#), "unknown field `x`"),
        (format!(r#"{{"delete":{{"id":"{ID}","id":"{ID}"}}}}"#), "duplicate field `id`"),
        (r#"{"delete":{}}"#.to_owned(), "missing field `id`"),
        (r#"{"delete":{"id":"12"}}"#.to_owned(), "32 hexadecimal digits"),
        (put(r#""content":"""#), "missing field `metadata`"),
        (put(r#""metadata":1"#), "missing field `content`"),
        (put(r#""metadata":1,"content":"","content_base64":"""#), "both `content`"),
        (put(r#""metadata":1,"metadata_base64":"","content":"""#), "both `metadata`"),
        (put(r#""metadata":1,"content_base64":"a""#), "not base64"),
        (put(r#""metadata":{"a"},"content":"""#), "expected `:`"),
        (put(r#""metadata":1,"content":"\ud800""#), "hex escape"),
        (put(r#""metadata":1,"content":null"#), "expected a string"),
        (put(r#""metadata":1,"content":"","content_base64":null"#), "expected a string"),
        (format!(r#"{{"link":{{"source":"{ID}","kind":"likes","target":"{ID}"}}}}"#), "edge kind"),
        (format!(r#"{{"link":{{"source":"{ID}","kind":65536,"target":"{ID}"}}}}"#), "65535"),
        (format!(r#"{{"link":{{"source":"{ID}","kind":-1,"target":"{ID}"}}}}"#), "edge kind"),
    ];
    for (line, expected) in cases {
        let reason = reason(&line);
        assert!(reason.contains(expected), "{line}: {reason}");
        assert!(!reason.contains('\n') && !reason.contains(" at line "), "{reason}");
    }
    assert!(matches!(parse(b"\xff"), Err(LineError::Bad(reason)) if reason.contains("UTF-8")));
}

#[test]
fn metadata_that_is_null_is_the_json_value_null() {
    let line = format!(
        r#"{{"put":{{"id":"{ID}","version":1,"source_uri":"u","metadata":null,"content":""}}}}"#
    );
    let Operation::Put(block) = parse(line.as_bytes()).unwrap() else { panic!() };
    assert_eq!(block.metadata, b"null");
}

#[test]
fn fields_and_kinds_may_stand_in_any_order_and_form() {
    let line = format!(r#" {{ "unlink" : {{"target":"{ID}", "kind":"7", "source":"{ID}"}} }} "#);
    let id = ID.parse().unwrap();
    let edge = GraphEdge { source: id, kind: EdgeKind::CALLS, target: id };
    assert_eq!(parse(line.as_bytes()).unwrap(), Operation::Unlink(edge));
}

#[test]
fn lines_are_counted_and_bounded() {
    let mut lines = Lines::new(&b"a\r\n\nb"[..]);
    assert_eq!(lines.next_line().unwrap(), Some(&b"a\r"[..]));
    assert_eq!(lines.next_line().unwrap(), Some(&b""[..]));
    assert_eq!(lines.next_line().unwrap(), Some(&b"b"[..]));
    assert_eq!(lines.number(), 3);
    assert_eq!(lines.next_line().unwrap(), None);
    assert_eq!(lines.number(), 3);
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let mut lines = Lines::new(endless);
    assert!(matches!(lines.next_line(), Err(LineError::TooLong)));
    assert_eq!(LINE_BYTES_MAX, 64 << 20);
}
