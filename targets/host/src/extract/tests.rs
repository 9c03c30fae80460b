//! What is found in small sources of each language.

use super::*;

fn extract(file: &str, text: &str) -> Extract {
    let language = Language::of(file).unwrap();
    Extractor::new().extract(language, text.as_bytes()).unwrap()
}

fn names(extract: &Extract) -> Vec<(&str, &str)> {
    extract.definitions.iter().map(|d| (d.kind.as_str(), d.path.as_str())).collect()
}

fn calls(extract: &Extract) -> Vec<(Source, &str)> {
    let calls = extract.references.iter().filter(|r| r.kind == EdgeKind::CALLS);
    calls.map(|r| (r.source.clone(), r.name.as_str())).collect()
}

#[test]
fn rust_methods_belong_to_the_type_of_their_impl_block() {
    let text = "//! A file.\n\n/// A store.\n#[derive(Debug)]\npub struct Store;\n\nimpl Store {\n    \
                fn open() -> Self { helper(); Self }\n}\n\
                impl Drop for Store {\n    fn drop(&mut self) {}\n}\n\
                const MAX: u32 = 1;\nfn helper() {}\n";
    let found = extract("a.rs", text);
    assert_eq!(
        names(&found),
        [
            ("class", "Store"),
            ("method", "Store.open"),
            ("method", "Store.drop"),
            ("constant", "MAX"),
            ("function", "helper")
        ]
    );
    assert_eq!(found.documentation, "A file.");
    assert_eq!(found.definitions[0].documentation, "A store.");
    assert_eq!(found.definitions[0].lines, [5, 5]);
    assert_eq!(found.definitions[1].parent, Some(0));
    assert_eq!(calls(&found), [(Source::Definition(1), "helper")]);
    let implements: Vec<_> =
        found.references.iter().filter(|r| r.kind == EdgeKind::IMPLEMENTS).collect();
    assert_eq!(implements[0].source, Source::Named("Store".to_owned()));
    assert_eq!(implements[0].name, "Drop");
}

#[test]
fn a_c_function_holds_its_body_and_a_prototype_is_a_declaration() {
    let text = "#define LIMIT 3\nenum color { RED };\nenum color pick(void);\n\
                /* Picks. */\nenum color pick(void)\n{\n    return first(LIMIT);\n}\n";
    let found = extract("a.c", text);
    assert_eq!(
        names(&found),
        [
            ("constant", "LIMIT"),
            ("type", "color"),
            ("constant", "color.RED"),
            ("declaration", "pick"),
            ("function", "pick")
        ]
    );
    assert_eq!(found.definitions[4].documentation, "Picks.");
    assert_eq!(calls(&found), [(Source::Definition(4), "first")]);
}

#[test]
fn a_python_docstring_documents_its_method() {
    let text = "class A(Base):\n    \"\"\"A class.\"\"\"\n    def f(self, x=g()):\n        \
                '''Does f.\n\n        Well.\n        '''\n        return self.h(x)\n";
    let found = extract("a.py", text);
    assert_eq!(names(&found), [("class", "A"), ("method", "A.f")]);
    assert_eq!(found.definitions[0].documentation, "A class.");
    assert_eq!(found.definitions[1].documentation, "Does f.\n\nWell.");
    assert_eq!(calls(&found), [(Source::Definition(1), "g"), (Source::Definition(1), "h")]);
    assert_eq!(found.references[0].kind, EdgeKind::EXTENDS);
}

#[test]
fn text_that_is_not_utf8_and_text_that_does_not_parse_are_read_as_far_as_they_go() {
    let language = Language::of("a.py").unwrap();
    let found =
        Extractor::new().extract(language, b"# \xff\xfe\ndef f():\n  return b'\xff'\n").unwrap();
    assert_eq!(names(&found), [("function", "f")]);
    let found = extract("a.rs", "fn a() {}\nfn b( { ((( \n}}}\n");
    assert!(names(&found).contains(&("function", "a")));
    assert_eq!(extract("a.go", "").definitions, []);
}

#[test]
fn every_language_gives_definitions_and_calls() {
    let samples = [
        ("a.js", "function f() { g(); }\n"),
        ("a.ts", "function f(x: number): void { g(); }\n"),
        ("a.tsx", "function f() { g(); }\n"),
        ("a.go", "package a\nfunc f() { g() }\n"),
        ("a.java", "class A { void f() { g(); } }\n"),
        ("a.rb", "def f\n  g(1)\nend\n"),
        ("a.cc", "int A::f() { return g(); }\n"),
    ];
    for (file, text) in samples {
        let found = extract(file, text);
        let f = found
            .definitions
            .iter()
            .position(|d| d.name == "f")
            .unwrap_or_else(|| panic!("{file}"));
        assert!(calls(&found).contains(&(Source::Definition(f), "g")), "{file}: {found:?}");
    }
}
