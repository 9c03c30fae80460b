//! Every public function of the core and of the flash adapter is called in the image that shows that none of
//! them can panic.
//!
//! What is public is read off their source: functions and methods that are `pub` (one that nobody
//! outside reaches is a warning of the compiler's, `unreachable_pub`), the methods of public traits, and each
//! type's way to be shown as text. A call is a path that ends in the type's and the function's name, or for a
//! `Display` a type in `show`. A name that they have twice must be called twice.

use super::source::{Token, closing, find_outside, reads, without_tests};
use super::{Fault, Source};

/// Where the image's source lies.
const IMAGE: &str = "targets/cortex-m/no-panic/src/";

/// Whose functions are called there.
const CALLED: &[&str] = &["core/src/", "adapters/flash/src/"];

/// Rooms of the core of which nothing is compiled into anybody's image.
const UNCOMPILED: &[&str] = &["core/src/planted.rs"];

/// What stands in a macro for the name of a type, and the types that the macro makes.
const MADE_BY_MACROS: (&str, &[&str]) = ("$name", &["BlockId", "StoreId"]);

/// A public function: where it is, and how a call of it reads.
#[derive(Debug, PartialEq, Eq)]
struct Function<'s> {
    path: &'s str,
    line: usize,
    call: String,
}

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut calls: Vec<String> = sources
        .iter()
        .filter(|source| source.path.starts_with(IMAGE))
        .flat_map(|source| calls(&source.tokens()))
        .collect();
    let core = sources.iter().filter(|source| {
        let path = source.path.as_str();
        CALLED.iter().any(|place| path.starts_with(place))
            && !UNCOMPILED.contains(&path)
            && !source.is_test()
    });
    let functions = core.filter(|source| source.is_rust()).flat_map(functions);
    functions
        .filter_map(|function| match calls.iter().position(|call| *call == function.call) {
            Some(at) => {
                calls.swap_remove(at);
                None
            }
            None => {
                let what = format!("{} is not called in {IMAGE}", function.call);
                Some(Fault { path: function.path.into(), line: function.line, what })
            }
        })
        .collect()
}

/// The paths in the image's source, without what they are generic over, and what is shown there.
fn calls(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.text == "use" {
            at = find_outside(tokens, at, &[";"]).unwrap_or(at) + 1;
            continue;
        }
        let next = after_generics(tokens, at + 1);
        let name = tokens.get(next + 1).filter(|_| reads(tokens, next, &["::"]));
        match name {
            Some(name) if is_name(token.text) => {
                found.push(format!("{}::{}", token.text, name.text))
            }
            _ if token.text == "show" && reads(tokens, at + 1, &["::", "<"]) => {
                found.extend(tokens.get(at + 3).map(|shown| format!("show::<{}>", shown.text)));
            }
            _ if is_name(token.text) && !reads(tokens, at.wrapping_sub(1), &["::"]) => {
                found.push(token.text.into());
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The public functions of a file.
fn functions(source: &Source) -> Vec<Function<'_>> {
    let tokens = without_tests(&source.tokens());
    let mut found = Vec::new();
    let mut add = |line, call| found.push(Function { path: &source.path, line, call });
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let starts_item = at == 0
            || tokens
                .get(at - 1)
                .is_some_and(|before| matches!(before.text, "}" | ";" | "]" | "{"));
        let body = || find_outside(&tokens, at, &["{"]);
        if token.text == "impl" && starts_item {
            let Some(body) = body() else { break };
            for (line, call) in implemented(&tokens, at, body) {
                add(line, call);
            }
            at = closing(&tokens, body);
        } else if reads(&tokens, at, &["pub", "trait"]) {
            let (Some(body), Some(name)) = (body(), tokens.get(at + 2)) else { break };
            for (line, function) in named_functions(&tokens, body, &[]) {
                add(line, format!("{}::{function}", name.text));
            }
            at = closing(&tokens, body);
        } else if let Some((line, name)) = public_function(&tokens, at) {
            add(line, name.into());
        }
        at += 1;
    }
    found
}

/// The calls that an `impl` block asks for, whose braces open at `body`.
fn implemented(tokens: &[Token<'_>], at: usize, body: usize) -> Vec<(usize, String)> {
    let header = tokens.get(..body).unwrap_or_default();
    let mut start = at + 1;
    if reads(header, start, &["<"]) {
        start = past_angles(header, start);
    }
    let of_trait =
        (start..body).find(|at| reads(header, *at, &["for"]) && !reads(header, at + 1, &["<"]));
    let path = of_trait.map_or(start, |at| at + 1);
    let Some(named) = last_of_path(header, path) else { return Vec::new() };
    let (marker, made) = MADE_BY_MACROS;
    let types = if named == marker { made } else { &[named][..] };
    let functions = match of_trait {
        None => named_functions(tokens, body, &["pub"]),
        Some(_) if last_of_path(header, start) != Some("Display") => Vec::new(),
        Some(_) => {
            let line = tokens.get(at).map_or(0, |token| token.line);
            return types.iter().map(|named| (line, format!("show::<{named}>"))).collect();
        }
    };
    let calls = functions.iter().flat_map(|(line, function)| {
        types.iter().map(move |named| (*line, format!("{named}::{function}")))
    });
    calls.collect()
}

/// The functions right inside the braces that open at `body`: the public ones, where `visible` says so.
fn named_functions<'s>(
    tokens: &[Token<'s>],
    body: usize,
    visible: &[&str],
) -> Vec<(usize, &'s str)> {
    let (mut found, mut at) = (Vec::new(), body + 1);
    let end = closing(tokens, body);
    while at < end {
        let function = match visible {
            [] if reads(tokens, at, &["fn"]) => {
                tokens.get(at + 1).map(|name| (name.line, name.text))
            }
            [] => None,
            _ => public_function(tokens, at),
        };
        found.extend(function);
        at = match tokens.get(at).map(|token| token.text) {
            Some("{" | "(" | "[") => closing(tokens, at) + 1,
            _ => at + 1,
        };
    }
    found
}

/// The public function whose `pub` stands at `at`.
fn public_function<'s>(tokens: &[Token<'s>], at: usize) -> Option<(usize, &'s str)> {
    let mut next = at + 1;
    while tokens.get(next).is_some_and(|token| matches!(token.text, "const" | "unsafe" | "async")) {
        next += 1;
    }
    let name = tokens.get(next + 1).filter(|_| reads(tokens, next, &["fn"]))?;
    reads(tokens, at, &["pub"]).then_some((name.line, name.text))
}

/// The last name of the path that starts at `at`, before what it is generic over.
fn last_of_path<'s>(tokens: &[Token<'s>], at: usize) -> Option<&'s str> {
    let skipped =
        tokens.iter().skip(at).take_while(|token| matches!(token.text, "&" | "mut" | "dyn"));
    let mut at = at + skipped.count();
    while reads(tokens, at + 1, &["::"]) {
        at += 2;
    }
    tokens.get(at).map(|token| token.text)
}

/// Where a path goes on behind what its name at `at - 1` is generic over, or cast to.
fn after_generics(tokens: &[Token<'_>], at: usize) -> usize {
    let open = at + usize::from(reads(tokens, at, &["::", "<"]));
    let at = if reads(tokens, open, &["<"]) { past_angles(tokens, open) } else { at };
    at + usize::from(reads(tokens, at, &[">"]))
}

/// The place behind the angle bracket that closes the one at `open`.
fn past_angles(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "<" => depth += 1,
            // The head of an arrow closes nothing.
            ">" if !reads(tokens, at - 1, &["-"]) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = "
        pub fn free() {}
        pub(crate) fn ours() {}
        impl<'r, T: Fn() -> u8> Pool<'r, T> {
            pub const fn get(&self) -> u8 { fn inner() {} }
            fn private() {}
        }
        impl<E: Debug> fmt::Display for pool::Error<E> { fn fmt(&self) {} }
        impl Clone for Pool<'_> { fn clone(&self) {} }
        pub trait Name { fn index(self) -> Option<impl Fn()>; fn other(&self) { } }
        trait Ours { fn nothing(); }
        impl<E> dyn Name<E> + '_ { pub fn erased(&self) {} }
        macro_rules! made { () => { impl $name { pub fn new() {} } } }
        #[cfg(test)]
        impl Pool { pub fn of_tests() {} }
    ";

    const CALLS: [&str; 8] = [
        "Pool::<u8>::get",
        "<L as Name>::index",
        "<L as Name<u8>>::other",
        "<dyn Name<u8>>::erased",
        "keep(free())",
        "show::<Error<RamError>>()",
        "BlockId::new",
        "StoreId::new",
    ];

    /// What is missing when an image has these calls.
    fn missing(calls: &[&str]) -> Vec<String> {
        let image =
            format!("use kausaldb::{{free, Pool::get}};\nfn all() {{ {} }}", calls.join(";\n"));
        let sources = [
            Source::new("core/src/pool.rs", CORE),
            Source::new("core/src/planted.rs", "pub fn plant() {}"),
            Source::new(format!("{IMAGE}main.rs"), image),
        ];
        check(&sources).into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn an_image_that_calls_everything_is_without_fault() {
        assert_eq!(missing(&CALLS), [""; 0]);
    }

    #[test]
    fn each_omission_is_named() {
        let names = [
            "Pool::get",
            "Name::index",
            "Name::other",
            "Name::erased",
            "free",
            "show::<Error>",
            "BlockId::new",
            "StoreId::new",
        ];
        for (at, name) in names.iter().enumerate() {
            let mut calls = CALLS.to_vec();
            calls.remove(at);
            assert_eq!(missing(&calls), [format!("{name} is not called in {IMAGE}")]);
        }
    }

    #[test]
    fn a_name_that_the_core_has_twice_is_called_twice() {
        let core = "impl Walk { pub fn next() {} }";
        let image = |text: &str| Source::new(format!("{IMAGE}main.rs"), text);
        let twice = |text| {
            [Source::new("core/src/a.rs", core), Source::new("core/src/b.rs", core), image(text)]
        };
        assert_eq!(check(&twice("fn f() { Walk::next; }")).len(), 1);
        assert_eq!(check(&twice("fn f() { Walk::next; a::Walk::next; }")).len(), 0);
    }
}
