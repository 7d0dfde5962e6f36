//! How text may look on a stream: colour, characters, width. A pure function of what the caller read.

use super::text::wrap;

/// What the caller read about one stream and the environment. Each stream is asked for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Whether the stream is a terminal.
    pub is_terminal: bool,
    /// `--no-color`.
    pub is_colour_refused: bool,
    /// `NO_COLOR`.
    pub no_color: Option<&'a str>,
    /// `TERM`.
    pub term: Option<&'a str>,
    /// `LC_ALL`, `LC_CTYPE` and `LANG`, in this order: the first that is not empty counts.
    pub locale: [Option<&'a str>; 3],
    /// Columns and rows, where the stream is a terminal that tells.
    pub size: Option<(usize, usize)>,
}

impl Inputs<'_> {
    /// Whether lines may be drawn over: a terminal that is not dumb. Else [`super::Plain`] is used.
    pub fn is_live(&self) -> bool {
        self.is_terminal && !matches!(self.term, None | Some("" | "dumb"))
    }
}

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours and weights are used.
    pub colour: bool,
    /// Whether characters beyond ASCII are used for marks.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
    /// Rows that a live display may use.
    pub height: usize,
}

/// Where lines end when nobody tells the width, and the longest line that is easy to read.
const USUAL: usize = 100;
const WIDEST: usize = 120;
/// Below this, lines are not made narrower.
const NARROWEST: usize = 20;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// A heading, or the word that counts.
    Strong,
    /// What may be overlooked.
    Faint,
    /// Well.
    Good,
    /// Failed, lost.
    Bad,
    /// To be thought about.
    Careful,
    /// At work.
    Live,
}

/// Marks before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each mark stands for its name")]
pub enum Mark {
    Waiting,
    Running,
    Done,
    Already,
    Failed,
    Undone,
    Stays,
    Asks,
    Warns,
}

impl Style {
    /// Decides from what was read.
    pub fn decide(inputs: &Inputs<'_>) -> Self {
        let has_no_color = inputs.no_color.is_some_and(|value| !value.is_empty());
        let locale = inputs.locale.iter().flatten().find(|value| !value.is_empty()).copied().unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let (width, height) = inputs.size.filter(|(width, _)| *width > 0).unwrap_or((USUAL, 24));
        Self {
            colour: inputs.is_live() && !has_no_color && !inputs.is_colour_refused,
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            width: width.clamp(NARROWEST, WIDEST),
            height: height.max(4),
        }
    }

    /// Without colour, with all characters; for tests and files.
    pub fn plain(width: usize) -> Self {
        Self { colour: false, unicode: true, width, height: 24 }
    }

    /// Paints a piece of text.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Bad => "1;31",
            Paint::Careful => "33",
            Paint::Live => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Wraps a text, paints its lines, and puts them `indent` columns in.
    pub fn lines(&self, paint: Paint, text: &str, indent: usize) -> String {
        let lines = wrap(text, self.width.saturating_sub(indent).max(10));
        lines.iter().map(|line| format!("{}{}\n", " ".repeat(indent), self.paint(paint, line))).collect()
    }

    /// The character of a mark, one column wide.
    pub fn mark(&self, mark: Mark) -> &'static str {
        let (fine, plain) = match mark {
            Mark::Waiting => ("·", "."),
            Mark::Running => ("▸", ">"),
            Mark::Done => ("✓", "+"),
            Mark::Already => ("=", "="),
            Mark::Failed => ("✗", "x"),
            Mark::Undone => ("↩", "<"),
            Mark::Stays => ("≠", "~"),
            Mark::Asks => ("?", "?"),
            Mark::Warns => ("!", "!"),
        };
        if self.unicode { fine } else { plain }
    }

    /// A mark in its colour.
    pub fn painted(&self, mark: Mark) -> String {
        let paint = match mark {
            Mark::Waiting | Mark::Already => Paint::Faint,
            Mark::Running | Mark::Asks => Paint::Live,
            Mark::Done | Mark::Undone => Paint::Good,
            Mark::Failed => Paint::Bad,
            Mark::Stays | Mark::Warns => Paint::Careful,
        };
        self.paint(paint, self.mark(mark))
    }

    /// What stands between the old and the new.
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// What stands for what was left out.
    pub fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// A line of `width` columns.
    pub fn rule(&self, width: usize) -> String {
        (if self.unicode { "─" } else { "-" }).repeat(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Inputs<'static> {
        Inputs {
            is_terminal: true,
            term: Some("xterm-256color"),
            locale: [None, None, Some("en_US.UTF-8")],
            size: Some((80, 24)),
            ..Inputs::default()
        }
    }

    #[test]
    fn a_terminal_gets_colour_its_own_width_and_all_characters() {
        let style = Style::decide(&terminal());
        assert_eq!(style, Style { colour: true, unicode: true, width: 80, height: 24 });
        assert!(terminal().is_live());
    }

    #[test]
    fn a_pipe_gets_neither_colour_nor_drawing() {
        let inputs = Inputs { is_terminal: false, size: None, ..terminal() };
        let style = Style::decide(&inputs);
        assert!(!style.colour && !inputs.is_live());
        assert_eq!(style.width, USUAL);
    }

    #[test]
    fn no_color_and_the_flag_take_the_colour_and_leave_the_drawing() {
        for inputs in [Inputs { no_color: Some("1"), ..terminal() }, Inputs { is_colour_refused: true, ..terminal() }] {
            assert!(!Style::decide(&inputs).colour);
            assert!(inputs.is_live());
        }
        assert!(Style::decide(&Inputs { no_color: Some(""), ..terminal() }).colour, "an empty NO_COLOR says nothing");
    }

    #[test]
    fn a_dumb_or_unnamed_terminal_is_drawn_on_like_a_pipe() {
        for term in [None, Some(""), Some("dumb")] {
            let inputs = Inputs { term, ..terminal() };
            assert!(!Style::decide(&inputs).colour && !inputs.is_live());
        }
    }

    #[test]
    fn the_first_locale_that_is_not_empty_decides_the_characters() {
        let of = |locale| Style::decide(&Inputs { locale, ..terminal() }).unicode;
        assert!(!of([Some("C"), None, Some("en_US.UTF-8")]));
        assert!(of([Some(""), None, Some("C.utf8")]));
        assert!(!of([None, None, None]));
    }

    #[test]
    fn a_width_is_kept_between_what_can_be_drawn_and_what_can_be_read() {
        let of = |size| Style::decide(&Inputs { size, ..terminal() }).width;
        assert_eq!((of(Some((5, 1))), of(Some((400, 90))), of(Some((0, 0)))), (NARROWEST, WIDEST, USUAL));
    }
}
