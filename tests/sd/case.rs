//! A model folder with inputs and what diffusers made of them, and the comparisons.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor, safetensors};
use wavedream::{
    diffusion::{
        device::How,
        sd::{Blend, DecoderChoice, LoraUse, Sampler, Settings, StableDiffusion, Text},
    },
    kernels::Pool,
};

/// Relative errors: a single pass, a run of steps, a file in half precision.
const PASS: f64 = 1e-4;
const RUN: f64 = 1e-3;
const HALF: f64 = 2e-3;

pub struct Case {
    folder: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    prompts: Vec<String>,
    /// Which prompt the U-Net's cases were made with.
    used: usize,
    lora_strength: f32,
    /// Runs by a scheduler configuration of their own: name, steps, configuration.
    own: Vec<(String, usize, String)>,
    pool: Pool,
    how: How,
    /// How many times the errors of float32 are allowed.
    slack: f64,
}

impl Case {
    pub fn open(folder: &Path) -> Self {
        let tensors = safetensors::load(folder.join("case.safetensors"), &Device::Cpu).unwrap().into_iter().collect();
        let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let prompts = json["prompts"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
        let own = json["own"].as_array().into_iter().flatten().map(|run| {
            let name = run["name"].as_str().unwrap().to_owned();
            (name, run["steps"].as_u64().unwrap() as usize, run["config"].to_string())
        });
        Self {
            own: own.collect(),
            folder: folder.to_owned(),
            tensors,
            prompts,
            used: json["prompt_used"].as_u64().unwrap() as usize,
            lora_strength: json["lora_strength"].as_f64().unwrap() as f32,
            pool: Pool::new(2),
            how: How::default(),
            slack: 1.0,
        }
    }

    /// The same case for models that are loaded in another way.
    pub fn loaded(self, how: How, slack: f64) -> Self {
        Self { how, slack, ..self }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the case has no {name}"))
    }

    fn model(&self, settings: Settings) -> StableDiffusion {
        self.load(&self.folder, settings)
    }

    fn load(&self, path: &Path, settings: Settings) -> StableDiffusion {
        let How { device, precision } = self.how;
        StableDiffusion::load(path, Settings { device, precision, ..settings }, &self.pool).unwrap()
    }

    fn near(&self, name: &str, found: &Tensor, limit: f64) {
        let error = relative(found, self.get(name));
        println!("{} {name}: {error:.2e}", self.folder.display());
        assert!(error <= self.slack * limit, "{} {name}: relative error {error:.2e}", self.folder.display());
    }

    fn size(&self) -> [usize; 2] {
        let (_, _, h, w) = self.get("z").dims4().unwrap();
        [h, w]
    }

    fn text_used(&self, guidance: f32) -> Text {
        Text { prompt: self.prompts[self.used].clone(), guidance: Some(guidance), ..Text::default() }
    }

    pub fn text(&self) {
        let model = self.model(Settings::default());
        for (i, prompt) in self.prompts.iter().enumerate() {
            for (tokens, name) in model.tokens(prompt).iter().zip(["prompt_ids", "prompt_ids_2"]) {
                let expected = self.get(name).get(i).unwrap().to_vec1::<i64>().unwrap();
                assert!(tokens.numbers.iter().map(|n| i64::from(*n)).eq(expected), "{prompt}");
            }
            let found = model.embed(prompt, Blend::Linear).unwrap();
            let row = |name: &str| self.get(name).narrow(0, i, 1).unwrap();
            assert!(relative(&found.words, &row("prompt_embeds")) <= PASS, "{prompt}");
            if let Some(pooled) = &found.pooled {
                assert!(relative(pooled, &row("pooled")) <= PASS, "{prompt}");
            }
        }
    }

    fn answer(&self, model: &StableDiffusion, z: &str, timesteps: &[f32]) -> Tensor {
        let text = model.embed(&self.prompts[self.used], Blend::Linear).unwrap();
        let ready = model.ready(&text, self.size()).unwrap();
        model.answer(self.get(z), timesteps, &ready, None).unwrap()
    }

    pub fn unet(&self) {
        let model = self.model(Settings::default());
        for timestep in [999_u16, 499, 1] {
            self.near(&format!("eps_{timestep}"), &self.answer(&model, "z", &[f32::from(timestep)]), PASS);
        }
        if self.tensors.contains_key("batch_z") {
            self.near("batch_eps", &self.answer(&model, "batch_z", &[999.0, 259.0]), PASS);
        } else {
            // Rows of a batch do not know of each other.
            let both = Tensor::cat(&[self.get("z"), self.get("z")], 0).unwrap();
            let text = model.embed(&self.prompts[self.used], Blend::Linear).unwrap();
            let ready = model.ready(&text, self.size()).unwrap();
            let found = model.answer(&both, &[999.0, 499.0], &ready, None).unwrap();
            self.near("eps_999", &found.narrow(0, 0, 1).unwrap(), PASS);
            self.near("eps_499", &found.narrow(0, 1, 1).unwrap(), PASS);
        }
    }

    pub fn samplers(&self) {
        let noise = self.get("lcm_noise").flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (sampler, name, steps) in [
            (Sampler::Ddim, "ddim5", 5),
            (Sampler::Ddim, "ddim20", 20),
            (Sampler::Euler, "turbo1", 1),
            (Sampler::Euler, "turbo4", 4),
            (Sampler::Lcm, "lcm4", 4),
            (Sampler::Lcm, "lcm1", 1),
            (Sampler::Plms, "plms5", 5),
            (Sampler::Plms, "plms20", 20),
            (Sampler::Plms, "plms50", 50),
        ] {
            // Cases made before PLMS was compared have none of it.
            if !self.tensors.contains_key(&format!("{name}_timesteps")) {
                continue;
            }
            let model =
                self.model(Settings { sampler: Some(sampler), noise: Some(noise.clone()), ..Settings::default() });
            let times: Vec<f32> = model.schedule(steps).steps().iter().map(|s| s.timestep).collect();
            assert_eq!(times, self.get(&format!("{name}_timesteps")).to_vec1::<f32>().unwrap(), "{name}");
            let mut seen = 0;
            let after = &mut |i: usize, x: &[f32]| {
                let name = format!("{name}_x{i}");
                seen += 1;
                // Committed cases leave some steps of a long run out.
                if let Some(expected) = self.tensors.get(&name) {
                    self.near(&name, &Tensor::from_slice(x, expected.shape(), &Device::Cpu).unwrap(), RUN);
                }
            };
            model.denoise(self.get("z"), &self.text_used(1.0), steps, after).unwrap();
            assert_eq!(seen, times.len());
            assert!(
                self.tensors.contains_key(&format!("{name}_x{}", seen - 1)),
                "{name}: the last step is not in the case"
            );
        }
    }

    pub fn starts_from_pictures(&self) {
        let noise = self.get("lcm_noise").flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (sampler, steps, strength, name) in [
            (Sampler::Ddim, 5, 0.6, "from_ddim5_60"),
            (Sampler::Ddim, 5, 1.0, "from_ddim5_100"),
            (Sampler::Euler, 4, 0.5, "from_euler4_50"),
            (Sampler::Euler, 6, 0.7, "from_euler6_70"),
            (Sampler::Lcm, 4, 0.5, "from_lcm4_50"),
        ] {
            let settings = Settings { sampler: Some(sampler), noise: Some(noise.clone()), ..Settings::default() };
            let model = self.model(settings);
            let start = Some((self.get("start"), strength));
            let text = self.text_used(1.0);
            let found = model.denoise_from(self.get("z"), start, &text, steps, &mut |_, _| {}).unwrap();
            self.near(name, &Tensor::from_vec(found, self.get("z").shape(), &Device::Cpu).unwrap(), RUN);
        }
        if !self.tensors.contains_key("from_photo_latent") {
            return;
        }
        for (decoder, name) in [(DecoderChoice::Own, "from_photo"), (DecoderChoice::Tiny, "from_photo_tiny")] {
            let model = self.model(Settings { sampler: Some(Sampler::Ddim), decoder, ..Settings::default() });
            let start = model.encode(self.get("photo")).unwrap();
            let text = self.text_used(1.0);
            let found = model.denoise_from(self.get("z"), Some((&start, 0.6)), &text, 5, &mut |_, _| {}).unwrap();
            let found = Tensor::from_vec(found, self.get("z").shape(), &Device::Cpu).unwrap();
            self.near(&format!("{name}_latent"), &found, RUN);
            self.near(&format!("{name}_image"), &model.decode(&found).unwrap(), RUN);
        }
    }

    /// Only for cases that were unpacked for this test: writes the scheduler's configuration into the folder.
    pub fn own_schedulers(&self) {
        assert!(!self.own.is_empty());
        for (name, steps, config) in &self.own {
            std::fs::write(self.folder.join("scheduler/scheduler_config.json"), config).unwrap();
            let model = self.model(Settings::default());
            let times: Vec<f32> = model.schedule(*steps).steps().iter().map(|s| s.timestep).collect();
            assert_eq!(times, self.get(&format!("{name}_timesteps")).to_vec1::<f32>().unwrap(), "{name}");
            let found = model.denoise(self.get("z"), &self.text_used(1.0), *steps, &mut |_, _| {}).unwrap();
            let found = Tensor::from_vec(found, self.get("z").shape(), &Device::Cpu).unwrap();
            self.near(&format!("{name}_x{}", steps - 1), &found, RUN);
        }
    }

    pub fn guidance(&self) {
        let Some(expected) = self.tensors.get("cfg5") else { return };
        let model = self.model(Settings { sampler: Some(Sampler::Ddim), ..Settings::default() });
        let found = model.denoise(self.get("z"), &self.text_used(7.5), 5, &mut |_, _| {}).unwrap();
        self.near("cfg5", &Tensor::from_vec(found, expected.shape(), &Device::Cpu).unwrap(), RUN);
    }

    pub fn autoencoders(&self) {
        let model = self.model(Settings::default());
        self.near("vae_image", &model.decode(self.get("z")).unwrap(), PASS);
        if !self.tensors.contains_key("photo") {
            return;
        }
        let scaling = f64::from(model.family().scaling());
        self.near("vae_mean", &(model.encode(self.get("photo")).unwrap() / scaling).unwrap(), PASS);
        let tiny = self.model(Settings { decoder: DecoderChoice::Tiny, ..Settings::default() });
        self.near("taesd_image", &tiny.decode(self.get("z")).unwrap(), PASS);
        self.near("taesd_latent", &tiny.encode(self.get("photo")).unwrap(), PASS);
    }

    fn with_lora(&self, path: &Path) -> Tensor {
        let loras = vec![LoraUse { path: path.to_owned(), strength: self.lora_strength }];
        self.answer(&self.model(Settings { loras, ..Settings::default() }), "z", &[999.0])
    }

    pub fn loras(&self) {
        let kohya = self.folder.join("lora.safetensors");
        self.near("lora07_eps_999", &self.with_lora(&kohya), PASS);
        // PEFT's names of the same LoRA: dots, A and B, and alpha / rank within B.
        let unet =
            safetensors::load(self.folder.join("unet/diffusion_pytorch_model.safetensors"), &Device::Cpu).unwrap();
        let kohya = safetensors::load(&kohya, &Device::Cpu).unwrap();
        let mut peft = std::collections::HashMap::new();
        for layer in unet.keys().filter_map(|n| n.strip_suffix(".weight")) {
            let name = format!("lora_unet_{}", layer.replace('.', "_"));
            let Some(up) = kohya.get(&format!("{name}.lora_up.weight")) else { continue };
            let down = &kohya[&format!("{name}.lora_down.weight")];
            let alpha = f64::from(kohya[&format!("{name}.alpha")].to_scalar::<f32>().unwrap());
            let up = (up * (alpha / down.dim(0).unwrap() as f64)).unwrap();
            peft.insert(format!("unet.{layer}.lora_A.weight"), down.clone());
            peft.insert(format!("unet.{layer}.lora_B.weight"), up);
        }
        assert_eq!(3 * peft.len(), 2 * kohya.len());
        let file = tempfile::NamedTempFile::new().unwrap();
        safetensors::save(&peft, file.path()).unwrap();
        self.near("lora07_eps_999", &self.with_lora(file.path()), PASS);
    }

    pub fn single_file(&self) {
        let inside = self.folder.join("single_file.safetensors");
        let alone = tempfile::tempdir().unwrap();
        let outside = alone.path().join("some model.safetensors");
        std::fs::copy(&inside, &outside).unwrap();
        for path in [inside, outside] {
            let model = self.load(&path, Settings::default());
            self.near("eps_999", &self.answer(&model, "z", &[999.0]), HALF);
            self.near("vae_image", &model.decode(self.get("z")).unwrap(), HALF);
            let text = model.embed(&self.prompts[self.used], Blend::Linear).unwrap();
            let expected = self.get("prompt_embeds").narrow(0, self.used, 1).unwrap();
            assert!(relative(&text.words, &expected) <= HALF);
        }
    }
}

/// The norm of the difference over the norm of what was expected.
fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.shape(), expected.shape());
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (found, expected) = (numbers(found), numbers(expected));
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut expected.iter().map(|b| f64::from(*b)))
}
