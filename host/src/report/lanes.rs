//! Both lanes as a picture: every release, every level, and until when each line is supported.

use super::dossier::{Lane, Point};
use super::html::escaped;
use std::fmt::Write as _;

/// Releases side by side; more go below.
const COLUMNS: usize = 9;
const WIDTH: usize = 960;
const LEFT: usize = 132;
const RIGHT: usize = 148;
const ROW: usize = 46;
/// Above the rows of a lane: its name.
const HEAD: usize = 30;
const GAP: usize = 14;
/// Below the rows of a lane: levels of the last one.
const FOOT: usize = 8;

/// A release in its column.
struct Placed<'a> {
    /// Which line.
    row: usize,
    point: &'a Point,
}

struct Figure<'a> {
    lines: &'a [Lane],
    shown: &'a [Placed<'a>],
    /// The column before the first one shown.
    first: usize,
    all: &'a [Placed<'a>],
    out: String,
}

/// All pictures of these lines.
pub(super) fn figures(lines: &[Lane]) -> Vec<String> {
    let releases = lines
        .iter()
        .enumerate()
        .flat_map(|(row, line)| line.releases.iter().map(move |point| Placed { row, point }));
    let mut all: Vec<Placed<'_>> = releases.collect();
    all.sort_by(|a, b| (&a.point.issued, a.point.level, a.row).cmp(&(&b.point.issued, b.point.level, b.row)));
    let pages = all.chunks(COLUMNS).count();
    let figure = |(index, shown): (usize, &[Placed<'_>])| {
        let figure = Figure { lines, shown, first: index * COLUMNS, all: &all, out: String::new() };
        figure.draw(index + 1, pages)
    };
    all.chunks(COLUMNS).enumerate().map(figure).collect()
}

impl Figure<'_> {
    fn height(&self) -> usize {
        2 * self.lane() + GAP + 30
    }

    /// How high a lane is.
    fn lane(&self) -> usize {
        HEAD + self.lines.len() * ROW + FOOT
    }

    /// Where a lane begins: the feature lane is above.
    fn top(&self, lane: &str) -> usize {
        if lane == "feature" { 0 } else { self.lane() + GAP }
    }

    fn y(&self, lane: &str, row: usize) -> usize {
        self.top(lane) + HEAD + row * ROW + ROW / 2 - 6
    }

    fn x(&self, column: usize) -> usize {
        let step = (WIDTH - LEFT - RIGHT) / self.shown.len().clamp(4, COLUMNS);
        LEFT + column * step + step / 2
    }

    fn text(&mut self, class: &str, (x, y): (usize, usize), text: &str) {
        let _ = writeln!(self.out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
    }

    fn bands(&mut self) {
        for (lane, title) in [("feature", "Feature lane"), ("security", "Security lane")] {
            let (top, height) = (self.top(lane), self.lane());
            let _ = writeln!(
                self.out,
                "<rect class=\"band {lane}\" x=\"0\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>"
            );
            self.text(&format!("lane {lane}"), (14, top + 20), title);
            for row in 0..self.lines.len() {
                let y = self.y(lane, row);
                let name = cut(&format!("{} {}", self.lines[row].baseline, self.lines[row].name), 16);
                self.text("line", (14, y + 4), &name);
            }
        }
    }

    /// A line's life in the security lane: from its first release to the day its support ends.
    fn lives(&mut self) {
        for (row, line) in self.lines.iter().enumerate() {
            let begun = self.all.iter().position(|placed| placed.row == row);
            let Some(begun) = begun.filter(|begun| *begun < self.first + self.shown.len()) else { continue };
            let from = begun.checked_sub(self.first).map_or(LEFT - 10, |column| self.x(column));
            let (y, end) = (self.y("security", row), WIDTH - RIGHT);
            let class = if line.retired.is_some() { "life retired" } else { "life" };
            let _ = writeln!(
                self.out,
                "<line class=\"{class}\" x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"
            );
            if self.first + self.shown.len() == self.all.len() {
                let until = match (&line.retired, line.support_end.as_str()) {
                    (Some(retired), _) => format!("retired {}", retired.chars().take(10).collect::<String>()),
                    (None, "") => "end not stated".to_owned(),
                    (None, end) => format!("to {end}"),
                };
                let _ = writeln!(
                    self.out,
                    "<line class=\"end\" x1=\"{end}\" y1=\"{}\" x2=\"{end}\" y2=\"{}\"/>",
                    y - 8,
                    y + 8
                );
                self.text("until", (end + 12, y + 4), &until);
            } else {
                self.text("until", (end + 12, y + 4), "continued");
            }
        }
    }

    fn releases(&mut self) {
        let mut last_day = String::new();
        for column in 0..self.shown.len() {
            let (row, point) = (self.shown[column].row, self.shown[column].point);
            let (x, y) = (self.x(column), self.y(point.lane, row));
            if point.lane == "feature" {
                // A line's security axis begins where a feature release puts it.
                let below = self.y("security", row);
                let _ = writeln!(
                    self.out,
                    "<line class=\"drop\" x1=\"{x}\" y1=\"{y}\" x2=\"{x}\" y2=\"{below}\"/>"
                );
                let _ = writeln!(self.out, "<circle class=\"start\" cx=\"{x}\" cy=\"{below}\" r=\"3.5\"/>");
            }
            if point.this {
                let _ = writeln!(
                    self.out,
                    "<circle class=\"this {}\" cx=\"{x}\" cy=\"{y}\" r=\"15\"/>",
                    point.lane
                );
            }
            let shape = if point.lane == "feature" {
                format!(
                    "<rect class=\"node feature\" x=\"{}\" y=\"{}\" width=\"16\" height=\"16\" rx=\"3\">",
                    x - 8,
                    y - 8
                )
            } else {
                format!("<circle class=\"node security\" cx=\"{x}\" cy=\"{y}\" r=\"8.5\">")
            };
            let end = if point.lane == "feature" { "rect" } else { "circle" };
            let closes = if point.closes.is_empty() {
                String::new()
            } else {
                format!(", closes {}", point.closes.join(", "))
            };
            let title = escaped(&format!("{}{closes}", point.release));
            let _ = writeln!(self.out, "{shape}<title>{title}</title></{end}>");
            let now = if point.this { " now" } else { "" };
            let level = format!("s{}", point.level);
            // Beside a feature, below a patch: nothing runs through it there.
            match point.lane {
                "feature" => self.text(&format!("beside{now}"), (x + 16, y + 4), &level),
                _ => self.text(&format!("level{now}"), (x, y + 28), &level),
            }
            let day: String = point.issued.chars().take(10).collect();
            if day != last_day {
                let bottom = self.height() - 8;
                self.text("day", (x, bottom), &day);
                last_day = day;
            }
        }
    }

    fn draw(mut self, page: usize, pages: usize) -> String {
        let height = self.height();
        let count = self.shown.len();
        let part = if pages > 1 { format!(", part {page} of {pages}") } else { String::new() };
        let _ = writeln!(
            self.out,
            "<svg class=\"lanes\" role=\"img\" aria-labelledby=\"lanes-title-{page} lanes-text-{page}\" viewBox=\"0 0 {WIDTH} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"lanes-title-{page}\">Releases in both lanes{part}</title>\n\
             <desc id=\"lanes-text-{page}\">{count} releases of {} lines: features above, security patches below, each line \
             until its support ends. The table below says the same.</desc>",
            self.lines.len()
        );
        self.bands();
        self.lives();
        self.releases();
        self.out + "</svg>\n"
    }
}

fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}
