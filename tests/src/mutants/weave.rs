//! Puts mutants into a source file, each behind a switch.
//!
//! An expression that may be broken becomes `(if crate::on(7) { broken } else { whole })`, a body that may be replaced begins
//! with `if crate::on(7) { return replacement; }`, and an arm that may be gone has the guard `!crate::on(7)`. One is on at a time,
//! so a broken text holds no other.

use super::list::{Genre, Mutant};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Where things are that mutants name by where they begin.
#[derive(Default)]
struct Places {
    /// The expression around an operator; true if it is part of a chain of `let`, which has to stay one.
    operators: BTreeMap<usize, (Range<usize>, bool)>,
    /// The end of an arm's pattern; true if some other arm takes whatever it takes.
    arms: BTreeMap<usize, (usize, bool)>,
    /// The struct expression around a field.
    fields: BTreeMap<usize, Range<usize>>,
    /// Functions that are `const`: the word and the space behind it, and all of the function.
    constant: Vec<(Range<usize>, Range<usize>)>,
}

fn holds_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => holds_let(&binary.left) || holds_let(&binary.right),
        _ => false,
    }
}

impl Places {
    fn function(&mut self, signature: &syn::Signature, whole: Range<usize>) {
        if let Some(word) = &signature.constness {
            let begin = word.span().byte_range().start;
            self.constant.push((begin..signature.fn_token.span().byte_range().start, whole));
        }
    }
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.span().byte_range());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.span().byte_range());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let chain = holds_let(&binary.left) || holds_let(&binary.right);
        let at = binary.op.span().byte_range().start;
        self.operators.insert(at, (binary.span().byte_range(), chain));
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let whole = unary.span().byte_range();
        self.operators.insert(whole.start, (whole, false));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, whole: &'ast syn::ExprMatch) {
        let rest = whole.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
        for arm in &whole.arms {
            self.arms.insert(arm.span().byte_range().start, (arm.pat.span().byte_range().end, rest));
        }
        visit::visit_expr_match(self, whole);
    }

    fn visit_expr_struct(&mut self, whole: &'ast syn::ExprStruct) {
        for field in &whole.fields {
            self.fields.insert(field.span().byte_range().start, whole.span().byte_range());
        }
        visit::visit_expr_struct(self, whole);
    }
}

/// What is done to a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// A replacement begins the body here.
    Body,
    /// A body whose type is hidden, an iterator: what it yields is passed over, and the replacement's items come instead.
    Items,
    /// These bytes go.
    Gone,
    /// An arm gets a guard.
    Arm,
    /// The guard of an arm, which may be the same text as an expression.
    Guard,
    /// An expression that may be broken.
    Expression,
}

/// A piece of text, and the mutants that change it.
struct Piece {
    at: Range<usize>,
    change: Change,
    mutants: Vec<usize>,
}

/// One file.
struct File<'a> {
    text: &'a str,
    all: &'a [Mutant],
    pieces: Vec<Piece>,
}

/// The byte where a line and column are.
fn offset(text: &str, (line, column): (usize, usize)) -> usize {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &text[before..];
    before + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

fn span(text: &str, mutant: &Mutant) -> Range<usize> {
    offset(text, mutant.span.0)..offset(text, mutant.span.1)
}

impl File<'_> {
    /// The text of a piece with one mutant in it.
    fn broken(&self, at: &Range<usize>, mutant: usize) -> String {
        let what = &self.all[mutant];
        let hole = span(self.text, what);
        let (before, after) = (&self.text[at.start..hole.start], &self.text[hole.end..at.end]);
        format!("/*<{mutant}*/ {before}{}{after} /*{mutant}>*/", what.replacement)
    }

    /// A range of the text with all pieces in it changed, from piece `from` on.
    fn render(&self, range: Range<usize>, from: usize) -> String {
        let (mut text, mut at) = (String::new(), range.start);
        for (index, piece) in self.pieces.iter().enumerate().skip(from) {
            if piece.at.start < at || piece.at.end > range.end {
                continue;
            }
            text.push_str(&self.text[at..piece.at.start]);
            text.push_str(&self.change(index));
            at = piece.at.end;
        }
        text.push_str(&self.text[at..range.end]);
        text
    }

    fn change(&self, index: usize) -> String {
        let Piece { at, change, mutants } = &self.pieces[index];
        let each = |text: &dyn Fn(usize) -> String| mutants.iter().map(|n| text(*n)).collect::<String>();
        match change {
            Change::Gone => String::new(),
            Change::Body => each(&|n| {
                format!("/*<{n}*/ if crate::on({n}) {{ return {}; }} /*{n}>*/ ", self.all[n].replacement)
            }),
            Change::Items => each(&|n| {
                let items = &self.all[n].replacement;
                format!(
                    ".filter(|_| !crate::on({n})).chain(/*<{n}*/ \
                     crate::on({n}).then(|| {items}).into_iter().flatten() /*{n}>*/)"
                )
            }),
            Change::Arm => format!(" if {}true", each(&|n| format!("/*<{n}*/ !crate::on({n}) /*{n}>*/ && "))),
            Change::Guard | Change::Expression => {
                let broken = each(&|n| format!("if crate::on({n}) {{ {} }} else ", self.broken(at, n)));
                format!("({broken}{{ {} }})", self.render(at.clone(), index + 1))
            }
        }
    }
}

/// A file with these mutants in it, and those that can't be in it because they would break a chain of `let`, or leave a match
/// with nothing for some value.
///
/// # Errors
/// The file isn't what cargo-mutants saw.
pub fn weave(text: &str, all: &[Mutant], chosen: &BTreeSet<usize>) -> Result<(String, Vec<usize>), String> {
    let tree = syn::parse_file(text).map_err(|e| e.to_string())?;
    let mut places = Places::default();
    places.visit_file(&tree);
    let (mut pieces, mut never) = (BTreeMap::<_, Vec<usize>>::new(), Vec::new());
    for &index in chosen {
        let mutant = &all[index];
        let lost = || format!("{}: nothing is there", mutant.name);
        let hole = span(text, mutant);
        let (at, change) = match mutant.genre {
            Genre::Body if mutant.name.contains("-> impl Iterator") => (hole.end..hole.end, Change::Items),
            Genre::Body => (hole.start..hole.start, Change::Body),
            Genre::Guard => (hole, Change::Guard),
            Genre::Arm => {
                let (end, rest) = *places.arms.get(&hole.start).ok_or_else(lost)?;
                if !rest {
                    never.push(index);
                    continue;
                }
                (end..end, Change::Arm)
            }
            Genre::Field => (places.fields.get(&hole.start).ok_or_else(lost)?.clone(), Change::Expression),
            Genre::Operator => {
                let (at, chain) = places.operators.get(&hole.start).ok_or_else(lost)?.clone();
                if chain {
                    never.push(index);
                    continue;
                }
                (at, Change::Expression)
            }
        };
        pieces.entry((at.start, at.end, change)).or_default().push(index);
    }
    let mut pieces: Vec<Piece> = pieces
        .into_iter()
        .map(|((begin, end, change), mutants)| Piece { at: begin..end, change, mutants })
        .collect();
    for (word, whole) in places.constant {
        if pieces.iter().any(|piece| whole.contains(&piece.at.start)) {
            pieces.push(Piece { at: word, change: Change::Gone, mutants: Vec::new() });
        }
    }
    // What is outside comes before what is inside; what begins a body before the body.
    pieces.sort_by_key(|piece| {
        let Range { start, end } = piece.at;
        (start, piece.change != Change::Body, std::cmp::Reverse(end), piece.change)
    });
    let file = File { text, all, pieces };
    Ok((file.render(0..text.len(), 0), never))
}

/// The mutant around a byte of a woven text.
pub fn mutant_at(text: &str, at: usize) -> Option<usize> {
    let begin = text.get(..at)?.rfind("/*<")?;
    let number = text.get(begin + 3..)?.split("*/").next()?;
    let end = text.get(begin..)?.find(&format!("/*{number}>*/"))? + begin;
    if at < end { number.parse().ok() } else { None }
}
