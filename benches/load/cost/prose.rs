//! Text that compresses as text does: a thousand different words, some of them far more often than others.

const SYLLABLES: [&str; 16] = [
    "ta", "re", "on", "si", "el", "ma", "ko", "un", "ver", "ni", "por", "la", "est", "du", "ing", "ro",
];
const WORDS: u64 = 1_000;

/// Writes on and on; always the same.
#[derive(Default)]
pub struct Prose {
    state: u64,
}

impl Prose {
    /// The next piece, of so many bytes.
    pub fn next(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            // Of two words the earlier one: so the first words of the language are its common ones.
            let word = (self.number() % WORDS).min(self.number() % WORDS);
            spell(&mut text, word);
        }
        text.truncate(bytes);
        text
    }

    fn number(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }
}

/// Words are the numbers from 16 on, in syllables.
fn spell(text: &mut String, word: u64) {
    let mut rest = word + SYLLABLES.len() as u64;
    while rest > 0 {
        text.push_str(SYLLABLES[(rest % SYLLABLES.len() as u64) as usize]);
        rest /= SYLLABLES.len() as u64;
    }
    text.push(' ');
}
