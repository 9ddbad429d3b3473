//! The recipes of families whose prompts T5 or a language model reads, and which of them a loader means.

use super::text::{PromptWay, TextEncoderKind, TextRecipe};
use crate::nets::clip::Hidden;

impl TextRecipe {
    /// FLUX.1: T5's states, and CLIP-L's pooled output, not projected.
    pub const FLUX1: Self = Self {
        name: "FLUX.1",
        roles: &[TextEncoderKind::L, TextEncoderKind::T5],
        hidden: Hidden::LAST,
        projects_pooled: false,
        places: &[
            (TextEncoderKind::L, "text_encoders.clip_l.transformer."),
            (TextEncoderKind::T5, "text_encoders.t5xxl.transformer."),
        ],
        way: PromptWay::Flux1,
    };

    /// SD3 and SD3.5: CLIP-L and -G side by side, T5's rows behind them; any of the three may be missing.
    pub const SD3: Self = Self {
        name: "SD3",
        roles: &[TextEncoderKind::L, TextEncoderKind::G, TextEncoderKind::T5],
        hidden: Hidden { layer: -2, norm: false },
        projects_pooled: true,
        places: &[
            (TextEncoderKind::L, "text_encoders.clip_l.transformer."),
            (TextEncoderKind::G, "text_encoders.clip_g.transformer."),
            (TextEncoderKind::T5, "text_encoders.t5xxl.transformer."),
        ],
        way: PromptWay::Sd3,
    };

    /// FLUX.2: three of Mistral's states side by side.
    pub const FLUX2: Self = Self::language("FLUX.2", &[TextEncoderKind::Mistral3], PromptWay::Flux2, MISTRAL3_PLACE);

    /// Z-Image: Qwen3's state before its last block.
    pub const Z_IMAGE: Self = Self::language("Z-Image", &[TextEncoderKind::Qwen3], PromptWay::ZImage, QWEN3_PLACE);

    /// Qwen-Image and Qwen-Image-Edit: Qwen2.5-VL's last state, of texts and images.
    pub const QWEN_IMAGE: Self =
        Self::language("Qwen-Image", &[TextEncoderKind::Qwen25], PromptWay::QwenImage, QWEN25_PLACE);

    const fn language(
        name: &'static str,
        roles: &'static [TextEncoderKind],
        way: PromptWay,
        places: &'static [(TextEncoderKind, &'static str)],
    ) -> Self {
        Self { name, roles, hidden: Hidden::LAST, projects_pooled: false, places, way }
    }

    /// Whether some of its encoders may be missing.
    pub fn takes_any_of_them(&self) -> bool {
        self.way == PromptWay::Sd3
    }

    /// The recipe that a loader's `type` means for encoders that were found in its files: a language model says by itself
    /// whose it is. `None` for the types of Stable Diffusion, whose encoders say it together.
    ///
    /// # Errors
    /// What is wrong with the choice, and what to do, in words.
    pub fn of_loader(kind: &str, found: &[TextEncoderKind]) -> Result<Option<&'static Self>, String> {
        let alone = LANGUAGE.iter().find(|recipe| found == recipe.roles).copied();
        let named = TYPES.iter().find(|(name, _)| *name == kind).map(|(_, recipe)| *recipe);
        let holds = found.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
        match (alone, named) {
            (Some(recipe), _) if kind != "hunyuan_image" => Ok(Some(recipe)),
            (None, Some(recipe)) if recipe.suits(found) => Ok(Some(recipe)),
            (_, Some(recipe)) => {
                let roles = recipe.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
                let what = if recipe.takes_any_of_them() { "any of" } else { "all of" };
                Err(format!(
                    "type `{kind}` ({recipe}) reads prompts with {what} {roles}; the files hold {holds}. Choose the files of \
                     that family, or the type that these are for"
                ))
            }
            (None, None) if ["stable_diffusion", "sdxl"].contains(&kind) && !found.contains(&TextEncoderKind::T5) => {
                Ok(None)
            }
            _ => {
                let types = TYPES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                Err(format!(
                    "type `{kind}` isn't run with {holds}; stable_diffusion, sdxl, {types} are. T5 belongs to `flux` (with \
                     CLIP-L, by DualCLIPLoader) and to `sd3`"
                ))
            }
        }
    }

    /// Whether a set of encoders is what this recipe takes, in any order.
    pub fn suits(&self, found: &[TextEncoderKind]) -> bool {
        let known = !found.is_empty() && found.iter().all(|role| self.roles.contains(role));
        known && (self.takes_any_of_them() || self.roles.iter().all(|role| found.contains(role)))
    }
}

const MISTRAL3_PLACE: &[(TextEncoderKind, &str)] =
    &[(TextEncoderKind::Mistral3, "text_encoders.mistral3_24b.transformer.")];
const QWEN3_PLACE: &[(TextEncoderKind, &str)] = &[(TextEncoderKind::Qwen3, "text_encoders.qwen3_4b.transformer.")];
const QWEN25_PLACE: &[(TextEncoderKind, &str)] = &[(TextEncoderKind::Qwen25, "text_encoders.qwen25_7b.transformer.")];

/// Recipes of one language model each.
static LANGUAGE: [&TextRecipe; 3] = [&TextRecipe::FLUX2, &TextRecipe::Z_IMAGE, &TextRecipe::QWEN_IMAGE];

/// What loaders call recipes.
static TYPES: [(&str, &TextRecipe); 5] = [
    ("flux", &TextRecipe::FLUX1),
    ("sd3", &TextRecipe::SD3),
    ("flux2", &TextRecipe::FLUX2),
    ("lumina2", &TextRecipe::Z_IMAGE),
    ("qwen_image", &TextRecipe::QWEN_IMAGE),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use TextEncoderKind::{G, L, Mistral3, Qwen3, T5};

    fn name(kind: &str, found: &[TextEncoderKind]) -> String {
        TextRecipe::of_loader(kind, found).unwrap().map_or("none", |recipe| recipe.name).to_owned()
    }

    #[test]
    fn a_language_model_says_whose_it_is_whatever_the_type() {
        assert_eq!(name("lumina2", &[Qwen3]), "Z-Image");
        assert_eq!(name("stable_diffusion", &[Mistral3]), "FLUX.2");
    }

    #[test]
    fn sd3_takes_any_subset_and_flux_both() {
        assert_eq!(name("sd3", &[T5]), "SD3");
        assert_eq!(name("sd3", &[G, L]), "SD3");
        assert_eq!(name("flux", &[T5, L]), "FLUX.1");
        assert_eq!(name("sdxl", &[L, G]), "none");
    }

    #[test]
    fn a_t5_where_mistral_is_due_says_what_was_found_and_what_to_do() {
        let error = TextRecipe::of_loader("flux2", &[T5]).unwrap_err();
        assert!(error.contains("FLUX.2") && error.contains("mistral3_24b") && error.contains("hold t5xxl"), "{error}");
        let error = TextRecipe::of_loader("wan", &[T5]).unwrap_err();
        assert!(error.contains("type `wan` isn't run") && error.contains("`sd3`"), "{error}");
        assert!(TextRecipe::of_loader("flux", &[L]).is_err());
    }
}
