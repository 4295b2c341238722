//! The desk plays a list of cues, and keeps the hours of its schedule.

use std::path::{Path, PathBuf};

use super::{Desk, Watch};
use crate::control::{
    CueList, Handle, Origin, PageError, Param, SetError, Table, Value,
    cues::{Asked, Cue, Player},
};

/// Of the beat when nobody gives one.
pub(super) const BEATS_PER_SEC: f64 = 2.0;

pub fn params() -> Vec<Param> {
    vec![
        Param::trigger("/cue/go").about("Plays the next cue of the list now."),
        Param::trigger("/cue/back").about("Plays the cue before again."),
        Param::text("/cue/goto", "").never_recalled().about("Plays the cue of this number or name."),
        Param::bool("/cue/hold", false).never_recalled().about("Stops the clock of the list; go and back still work."),
        Param::text("/cue/now", "").read_only().about("Number and name of the cue that came last."),
        Param::text("/cue/next", "").read_only().about("Number and name of the cue that comes next."),
        Param::int("/cue/left_secs", 0, 1_000_000, 0)
            .unit("s")
            .read_only()
            .about("Seconds until the next cue comes by itself; 0 if it waits."),
        Param::bool("/schedule/run", true)
            .never_recalled()
            .about("Keeps the hours of the schedule; off is open at all hours."),
        Param::text("/schedule/state", "").read_only().about("Open, dimmed or closed, and until when."),
        Param::float("/schedule/level", 0.0, 1.0, 1.0)
            .read_only()
            .about("Brightness that the schedule leaves to the stage; 0 is closed."),
    ]
}

/// The parameters of the list, and where it stands.
#[derive(Debug)]
pub struct Cueing {
    go: Handle,
    go_seen: u64,
    back: Handle,
    back_seen: u64,
    goto: Handle,
    goto_seen: u64,
    hold: Handle,
    run: Handle,
    list: Option<CueList>,
    path: PathBuf,
    watch: Option<Watch>,
    player: Player,
    /// What the clock on the wall was told to be: seconds since 1970.
    pub unix_secs: Option<i64>,
    /// The minute in which the hours were looked up last, and whether they were kept.
    looked: Option<(i64, bool)>,
    begun: bool,
    /// What the parameters show: this cue, the next, seconds that are left.
    shown: Option<(Option<usize>, Option<usize>, i64)>,
}

impl Cueing {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let handle = |name: &str| table.handle(&format!("/cue/{name}"));
        Ok(Self {
            go: handle("go")?,
            go_seen: 0,
            back: handle("back")?,
            back_seen: 0,
            goto: handle("goto")?,
            goto_seen: 0,
            hold: handle("hold")?,
            run: table.handle("/schedule/run")?,
            list: None,
            path: PathBuf::new(),
            watch: None,
            player: Player::default(),
            unix_secs: None,
            looked: None,
            begun: false,
            shown: None,
        })
    }
}

impl Desk {
    /// Takes up a list of cues from a file; it begins with the next tick. Returns a warning for each value that will be
    /// clamped.
    pub fn open_cues(&mut self, path: &Path) -> Result<Vec<String>, PageError> {
        let list = CueList::load(path)?;
        let warnings = list.check(&self.table, &self.presets)?;
        self.use_cues(list);
        path.clone_into(&mut self.cueing.path);
        Ok(warnings)
    }

    /// Takes up a list of cues.
    pub fn use_cues(&mut self, list: CueList) {
        match &self.cueing.list {
            Some(before) => self.cueing.player.follow(before, &list),
            None => self.cueing.player = Player::default(),
        }
        self.cueing.list = Some(list);
        self.cueing.looked = None;
        self.cueing.shown = None;
        self.show_cues();
    }

    pub fn cues(&self) -> Option<&CueList> {
        self.cueing.list.as_ref()
    }

    /// What time it is on the wall, in seconds since 1970; the schedule's hours are kept from then on.
    pub fn set_wall(&mut self, unix_secs: i64) {
        self.cueing.unix_secs = Some(unix_secs);
    }

    /// From now on the list is read again when it is saved.
    pub(super) fn watch_cues(&mut self) -> Result<(), notify::Error> {
        if self.cueing.list.is_some() {
            let folder = self.cueing.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            self.cueing.watch = Some(Watch::new(&[folder.unwrap_or(Path::new(".")).to_owned()])?);
        }
        Ok(())
    }

    /// Plays the cues that are due.
    pub(super) fn follow_cues(&mut self, dt_secs: f64, dt_beats: f64) -> Vec<String> {
        let mut told = Vec::new();
        if self.cueing.watch.as_mut().is_some_and(Watch::settled) {
            let path = self.cueing.path.clone();
            told.extend(self.open_cues(&path).unwrap_or_else(|error| vec![format!("{error}; the cues before stay")]));
        }
        let asked = self.asked_cue(&mut told);
        let Some(list) = self.cueing.list.take() else {
            if asked != Asked::Nothing {
                told.push("there is no list of cues: start with --cues FILE".into());
            }
            return told;
        };
        let held = self.cueing.hold.is_on();
        // The first tick is the start: what is due at 0 comes now, however long the first frame took.
        let (dt_secs, dt_beats) = if self.cueing.begun { (dt_secs, dt_beats) } else { (0.0, 0.0) };
        self.cueing.begun = true;
        let came = self.cueing.player.tick(&list, dt_secs, dt_beats, held, asked);
        // Of several in one tick the last is what is to be seen, but each may set something that stays.
        for place in &came {
            told.extend(self.play_cue(&list.cues[*place]));
        }
        self.keep_hours(&list);
        self.cueing.list = Some(list);
        self.show_cues();
        told
    }

    fn asked_cue(&mut self, told: &mut Vec<String>) -> Asked {
        let cueing = &mut self.cueing;
        let go = cueing.go.fired(&mut cueing.go_seen);
        let back = cueing.back.fired(&mut cueing.back_seen);
        let wanted = cueing.goto.text();
        if cueing.goto.moved(&mut cueing.goto_seen) && !wanted.trim().is_empty() {
            let place = cueing.list.as_ref().map(|list| (list.find(&wanted), list.nearest(&wanted).map(str::to_owned)));
            self.set("/cue/goto", Value::text(""), 0.0, Origin::Program);
            match place {
                Some((Some(place), _)) => return Asked::Goto(place),
                Some((None, nearest)) => {
                    let hint = nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"));
                    told.push(format!("there is no cue “{wanted}”{hint}"));
                }
                None => told.push("there is no list of cues: start with --cues FILE".into()),
            }
        }
        match (go, back) {
            (true, _) => Asked::Go,
            (_, true) => Asked::Back,
            _ => Asked::Nothing,
        }
    }

    fn play_cue(&mut self, cue: &Cue) -> Option<String> {
        let told = cue.preset.as_deref().and_then(|wanted| self.recall(wanted, cue.secs).err());
        if let Some(name) = &cue.transition {
            self.set("/stage/transition", Value::text(name), 0.0, Origin::Cue);
        }
        if let Some(secs) = cue.secs.filter(|_| cue.preset.is_some()) {
            // How long the picture takes to come in, as its numbers do.
            self.set("/stage/transition_secs", Value::Float(secs), 0.0, Origin::Cue);
        }
        for (path, value, _) in &cue.set {
            self.set(path, value.clone(), cue.secs.unwrap_or(0.0), Origin::Cue);
        }
        told.map(|error| format!("cue {}: {error}", cue.name))
    }

    fn keep_hours(&mut self, list: &CueList) {
        let (Some(schedule), Some(unix_secs)) = (&list.schedule, self.cueing.unix_secs) else { return };
        let looked = Some((unix_secs.div_euclid(60), self.cueing.run.is_on()));
        let first = self.cueing.looked.is_none();
        if std::mem::replace(&mut self.cueing.looked, looked) == looked {
            return;
        }
        let moment = schedule.zone.local(unix_secs);
        let (level, state) = match self.cueing.run.is_on() {
            true => (schedule.level(moment), schedule.state(moment)),
            false => (1.0, "open: the schedule is off".to_owned()),
        };
        let fade_secs = if first { 0.0 } else { schedule.fade_secs };
        self.set("/schedule/level", Value::Float(level), fade_secs, Origin::Program);
        self.show("/schedule/state", Value::text(state));
    }

    fn show_cues(&mut self) {
        let Some(list) = &self.cueing.list else { return };
        let player = &self.cueing.player;
        let (now, next) = (player.now(), player.next(list));
        let left_secs = player.left_secs(list).unwrap_or(0.0).ceil() as i64;
        let shown = Some((now, next, left_secs));
        if shown != self.cueing.shown {
            self.show("/cue/now", Value::text(list.label(now)));
            self.show("/cue/next", Value::text(list.label(next)));
            self.show("/cue/left_secs", Value::Int(left_secs));
            self.cueing.shown = shown;
        }
    }
}
