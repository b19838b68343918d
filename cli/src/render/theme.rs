//! Colours, used sparingly: they point, they never carry meaning alone.

use anstyle::{AnsiColor, Style};

/// The styles of one stream: all of them plain when it shall have no colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    colour: bool,
}

impl Theme {
    /// With or without colours.
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn style(self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }

    /// As it should be.
    pub(crate) fn good_style(self) -> Style {
        self.style(AnsiColor::Green.on_default())
    }

    /// To keep an eye on.
    pub(crate) fn doubtful_style(self) -> Style {
        self.style(AnsiColor::Yellow.on_default())
    }

    /// Broken.
    pub(crate) fn bad_style(self) -> Style {
        self.style(AnsiColor::Red.on_default())
    }

    /// Column heads and labels.
    pub(crate) fn head_style(self) -> Style {
        self.style(Style::new().bold())
    }

    /// `text`, broken.
    pub(crate) fn bad(self, text: &str) -> String {
        paint(self.style(AnsiColor::Red.on_default().bold()), text)
    }

    /// `text`, emphasised.
    pub(crate) fn bold(self, text: &str) -> String {
        paint(self.head_style(), text)
    }
}

/// `text` in `style`; the text itself when the style is plain.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
