//! What a bench promises: figures with their bounds, met or missed.

/// Prints what became of a target, and remembers those that were missed.
#[derive(Default)]
pub(crate) struct Targets {
    pub(crate) missed: usize,
}

impl Targets {
    pub(crate) fn at_most(&mut self, what: &str, figure: f64, bound: f64) {
        self.note(what, figure <= bound, &format!("{figure:.3}, at most {bound}"));
    }

    pub(crate) fn at_least(&mut self, what: &str, figure: f64, bound: f64) {
        self.note(what, figure >= bound, &format!("{figure:.3}, at least {bound}"));
    }

    fn note(&mut self, what: &str, met: bool, figures: &str) {
        println!("{}  {what}: {figures}", if met { "met   " } else { "MISSED" });
        self.missed += usize::from(!met);
    }
}
