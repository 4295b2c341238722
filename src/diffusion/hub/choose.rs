//! Which files of a model this program needs: no pickles, no duplicates, no second precision.

use super::listing::{Listing, Remote};

/// Folders of a pipeline that are played.
const PARTS: [&str; 5] = ["unet", "vae", "text_encoder", "text_encoder_2", "taesd"];
/// Folders of which the small files are taken.
const SMALL_PARTS: [&str; 3] = ["scheduler", "tokenizer", "tokenizer_2"];

/// The files to fetch; the error is the end of a sentence that begins with the model's name. `half`: float16 where the
/// model has both.
pub fn choose(listing: &Listing, file: Option<&str>, half: bool) -> Result<Vec<Remote>, String> {
    let find = |path: &str| listing.files.iter().find(|f| f.path == path);
    if let Some(file) = file {
        let found = find(file).ok_or_else(|| format!("has no file {file}; it has {}", singles(listing).join(", ")))?;
        return Ok(with_papers(listing, vec![found.clone()]));
    }
    let has = |part: &str| listing.files.iter().any(|f| f.path.starts_with(&format!("{part}/")));
    if has("unet") {
        let mut chosen = Vec::new();
        for part in PARTS.iter().filter(|p| has(p)) {
            chosen.extend(weights(listing, &format!("{part}/"), half)?);
            chosen.extend(find(&format!("{part}/config.json")).cloned());
        }
        let small = |f: &&Remote| {
            SMALL_PARTS.iter().any(|p| f.path.starts_with(&format!("{p}/")))
                && (f.path.ends_with(".json") || f.path.ends_with("merges.txt"))
        };
        chosen.extend(listing.files.iter().filter(small).cloned());
        chosen.extend(find("model_index.json").cloned());
        return Ok(with_papers(listing, chosen));
    }
    // A decoder or a part by itself, with its configuration.
    if find("config.json").is_some()
        && let Ok(mut chosen) = weights(listing, "", half)
    {
        chosen.extend(find("config.json").cloned());
        return Ok(with_papers(listing, chosen));
    }
    match singles(listing)[..] {
        [] if listing.files.iter().any(|f| [".ckpt", ".bin", ".pt"].iter().any(|e| f.path.ends_with(e))) => Err(
            "has its weights only as a pickle, which can hold programs and is not fetched; download it yourself and run \
             `wavedream models convert`"
                .to_owned(),
        ),
        [] => Err("has no .safetensors file; it is no model that this program plays".to_owned()),
        [only] => Ok(with_papers(listing, find(only).cloned().into_iter().collect())),
        ref many => Err(format!("holds several models; name one file of it, for instance NAME/{}", many.join(", NAME/"))),
    }
}

/// .safetensors files that lie at the top.
fn singles(listing: &Listing) -> Vec<&str> {
    let paths = listing.files.iter().map(|f| f.path.as_str());
    paths.filter(|p| !p.contains('/') && p.ends_with(".safetensors")).collect()
}

/// The licence and the description travel with the weights.
fn with_papers(listing: &Listing, mut chosen: Vec<Remote>) -> Vec<Remote> {
    const LARGEST: u64 = 1 << 20;
    let paper = |f: &&Remote| {
        let upper = f.path.to_uppercase();
        !f.path.contains('/') && (f.path == "README.md" || upper.starts_with("LICENSE")) && f.size <= LARGEST
    };
    chosen.extend(listing.files.iter().filter(paper).cloned());
    chosen
}

/// The weights under a folder: one file or the shards of one, in the precision that is wanted or the one there is.
fn weights(listing: &Listing, under: &str, half: bool) -> Result<Vec<Remote>, String> {
    let order = if half { ["fp16", "", "bf16", "non_ema"] } else { ["", "fp16", "bf16", "non_ema"] };
    let files = || listing.files.iter().filter_map(|f| Some((f.path.strip_prefix(under)?, f)));
    for variant in order {
        for stem in ["diffusion_pytorch_model", "model"] {
            let dotted = if variant.is_empty() { String::new() } else { format!(".{variant}") };
            let whole = format!("{stem}{dotted}.safetensors");
            if let Some((_, file)) = files().find(|(name, _)| *name == whole) {
                return Ok(vec![file.clone()]);
            }
            let index = format!("{stem}.safetensors.index{dotted}.json");
            if let Some((_, index)) = files().find(|(name, _)| *name == index) {
                // `model.fp16-00001-of-00002.safetensors`
                let start = format!("{stem}{dotted}-");
                let shard =
                    |name: &str| name.starts_with(&start) && name.contains("-of-") && name.ends_with(".safetensors");
                let shards = files().filter(|(name, _)| shard(name)).map(|(_, f)| f.clone());
                return Ok(shards.chain([index.clone()]).collect());
            }
        }
    }
    let what = under.trim_end_matches('/');
    let pickled = files().any(|(name, _)| name.ends_with(".bin"));
    Err(if pickled {
        format!(
            "has its {what} only as a pickle (.bin), which can hold programs and is not fetched; download the folder \
             yourself and run `wavedream models convert`"
        )
    } else {
        format!("has no weights of its {what}; it is not a whole model")
    })
}

#[cfg(test)]
mod tests {
    use super::{super::hashes::Hash, *};

    fn chosen(paths: &[&str], file: Option<&str>, half: bool) -> Result<Vec<String>, String> {
        let remote = |path: &&str| Remote { path: (*path).to_owned(), size: 1, hash: Hash::Git("0".repeat(40)) };
        let listing = Listing { commit: "0".repeat(40), files: paths.iter().map(remote).collect() };
        choose(&listing, file, half).map(|files| files.into_iter().map(|f| f.path).collect())
    }

    /// As stabilityai/sd-turbo has them.
    const PIPELINE: [&str; 19] = [
        ".gitattributes",
        "LICENSE.md",
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "sd_turbo.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "safety_checker/model.safetensors",
    ];

    #[test]
    fn of_a_pipeline_only_what_is_played_is_taken_in_one_precision() {
        let files = chosen(&PIPELINE, None, false).unwrap();
        assert!(files.contains(&"unet/diffusion_pytorch_model.safetensors".to_owned()));
        // Only this exists.
        assert!(files.contains(&"vae/diffusion_pytorch_model.fp16.safetensors".to_owned()));
        for other in ["sd_turbo.safetensors", "safety_checker/model.safetensors", ".gitattributes"] {
            assert!(!files.contains(&other.to_owned()), "{other}");
        }
        assert!(
            !files.iter().any(|f| f.ends_with(".bin") || f.ends_with("unet/diffusion_pytorch_model.fp16.safetensors"))
        );
        assert_eq!(files.len(), 13);
        let half = chosen(&PIPELINE, None, true).unwrap();
        assert!(half.contains(&"unet/diffusion_pytorch_model.fp16.safetensors".to_owned()));
        assert_eq!(half.len(), 13);
    }

    #[test]
    fn shards_come_with_their_index() {
        let paths = [
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors.index.json",
            "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
            "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
            "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
        ];
        assert_eq!(chosen(&paths, None, false).unwrap().len(), 4);
    }

    #[test]
    fn a_decoder_a_single_file_and_a_file_by_name_are_taken() {
        let tiny = ["config.json", "diffusion_pytorch_model.safetensors", "taesd_decoder.safetensors", "README.md"];
        assert_eq!(
            chosen(&tiny, None, false).unwrap(),
            ["diffusion_pytorch_model.safetensors", "config.json", "README.md"]
        );
        assert_eq!(chosen(&["lora.safetensors", "x.png"], None, false).unwrap(), ["lora.safetensors"]);
        assert_eq!(
            chosen(&PIPELINE, Some("sd_turbo.safetensors"), false).unwrap(),
            ["sd_turbo.safetensors", "LICENSE.md", "README.md"]
        );
    }

    #[test]
    fn what_cannot_be_taken_is_said() {
        for (paths, file, expected) in [
            (&["unet/config.json", "unet/diffusion_pytorch_model.bin"][..], None, "has its unet only as a pickle"),
            (&["model.ckpt"], None, "only as a pickle"),
            (&["README.md"], None, "has no .safetensors file"),
            (&["a.safetensors", "b.safetensors"], None, "name one file of it, for instance NAME/a.safetensors, NAME/b"),
            (&["a.safetensors"], Some("c.safetensors"), "has no file c.safetensors; it has a.safetensors"),
        ] {
            let why = chosen(paths, file, false).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
