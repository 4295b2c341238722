//! Models worth having, by short names. models/README.md tells more of each.

/// A public model that has a short name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub short: &'static str,
    pub repo: &'static str,
    pub about: &'static str,
    /// As its page on the hub says.
    pub licence: &'static str,
}

pub const KNOWN: [Known; 9] = [
    Known {
        short: "sd-turbo",
        repo: "stabilityai/sd-turbo",
        about: "photographs and paintings in one step",
        licence: "Stability AI's own, sai-nc-community",
    },
    Known {
        short: "sdxl-turbo",
        repo: "stabilityai/sdxl-turbo",
        about: "finer pictures in one step, for large graphics cards",
        licence: "Stability AI's own, sai-nc-community",
    },
    Known {
        short: "sd15",
        repo: "stable-diffusion-v1-5/stable-diffusion-v1-5",
        about: "the model of the rat-brain paper; most LoRAs and embeddings are made for it",
        licence: "CreativeML OpenRAIL-M",
    },
    Known {
        short: "sdxl",
        repo: "stabilityai/stable-diffusion-xl-base-1.0",
        about: "large pictures in twenty steps and more",
        licence: "CreativeML OpenRAIL++-M",
    },
    Known {
        short: "lcm-dreamshaper",
        repo: "SimianLuo/LCM_Dreamshaper_v7",
        about: "painterly and fantastic pictures in four steps",
        licence: "MIT",
    },
    Known {
        short: "lcm-lora-sd15",
        repo: "latent-consistency/lcm-lora-sdv1-5",
        about: "a LoRA that makes any SD 1.5 checkpoint one of four steps",
        licence: "CreativeML OpenRAIL++-M",
    },
    Known {
        short: "lcm-lora-sdxl",
        repo: "latent-consistency/lcm-lora-sdxl",
        about: "a LoRA that makes any SDXL checkpoint one of four steps",
        licence: "CreativeML OpenRAIL++-M",
    },
    Known {
        short: "taesd",
        repo: "madebyollin/taesd",
        about: "the tiny decoder for SD 1.x, 2.x and SD-Turbo (--decoder taesd)",
        licence: "MIT",
    },
    Known {
        short: "taesdxl",
        repo: "madebyollin/taesdxl",
        about: "the tiny decoder for SDXL and SDXL-Turbo (--decoder taesd)",
        licence: "MIT",
    },
];

/// By its short name.
pub fn known(short: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.short == short)
}
