//! How models that read are loaded: what the table says of device and precision.

use crate::{
    control::{Handle, SetError, Table},
    diffusion::device::{How, Precision},
};

/// Where the table says it.
pub const DEVICE: &str = "/dream/device";
pub const PRECISION: &str = "/dream/precision";

/// Handles of both.
pub struct HowDials {
    device: Handle,
    precision: Handle,
}

impl HowDials {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        Ok(Self { device: table.handle(DEVICE)?, precision: table.handle(PRECISION)? })
    }

    pub fn how(&self) -> How {
        How {
            device: self.device.text().parse().unwrap_or_default(),
            precision: Precision::named(&self.precision.text()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::{Kind, Origin, Value, builtin},
        diffusion::device::DeviceChoice,
    };

    fn names(path: &str) -> Vec<String> {
        let params = builtin();
        let param = params.iter().find(|param| *param.path == *path).unwrap();
        let Kind::Choice(names) = &param.kind else { panic!("{path} is a choice") };
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_has_the_devices_and_precisions_that_there_are() {
        assert_eq!(names(DEVICE), DeviceChoice::names());
        assert_eq!(names(PRECISION), Precision::NAMES.map(|(name, _)| name));
        let table = Table::new(builtin());
        let dials = HowDials::new(&table).unwrap();
        assert_eq!(dials.how(), How::default());
        table.set(DEVICE, Value::text("cuda:1"), Origin::Panel).unwrap();
        table.set(PRECISION, Value::text("half"), Origin::Panel).unwrap();
        assert_eq!(dials.how(), How { device: DeviceChoice::Cuda(1), precision: Precision::Half });
    }
}
