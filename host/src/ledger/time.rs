//! Dates of the ledger: days, and moments in UTC. Nothing here asks a clock.

use serde::de::{Deserialize, Deserializer, Error as _};
use std::fmt;
use toml::value::{Datetime, Offset};

/// Seconds of an hour.
pub const HOUR: u64 = 3_600;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

/// A civil date, as days since 1970-01-01; no earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// The day of a year, month (1 to 12) and day of the month, if there is one from 1970 to 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let lengths = [31, 28 + u8::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *lengths.get(usize::from(month).checked_sub(1)?)?;
        if !(1..=length).contains(&day) || !(1970..=9999).contains(&year) {
            return None;
        }
        // Civil date to days, after Howard Hinnant's algorithm: years begin in March.
        let year = i64::from(year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        u32::try_from(days).ok().map(Self)
    }

    /// Its first second, since 1970.
    pub fn begins(self) -> u64 {
        u64::from(self.0) * DAY
    }

    /// Its last second, since 1970.
    pub fn ends(self) -> u64 {
        self.begins() + DAY - 1
    }

    /// The same day so many years later; of 29 February, where there is none, the day after.
    #[must_use]
    pub fn years_later(self, years: u16) -> Self {
        let text = self.to_string();
        let mut parts = text.split('-').map(|part| part.parse::<u16>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let (year, month, day) = (next().saturating_add(years), next() as u8, next() as u8);
        Self::new(year, month, day).or_else(|| Self::new(year, 3, 1)).unwrap_or(Self(u32::MAX))
    }

    /// Reads `2032-12-31`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` isn't a date such as 2032-12-31");
        let date: Datetime = text.parse().map_err(|_| wrong())?;
        if date.time.is_some() { Err(wrong()) } else { Self::of(&date).ok_or_else(wrong) }
    }

    fn of(date: &Datetime) -> Option<Self> {
        date.date.and_then(|date| Self::new(date.year, date.month, date.day))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::commands::date(self.begins());
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let date = Datetime::deserialize(input)?;
        let day = if date.time.is_some() { None } else { Self::of(&date) };
        day.ok_or_else(|| D::Error::custom(format!("`{date}` isn't a date from 1970 on, such as 2032-12-31")))
    }
}

/// A moment: seconds since 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The day it lies in, in UTC.
    pub fn day(self) -> Day {
        Day(u32::try_from(self.0 / DAY).unwrap_or(u32::MAX))
    }

    /// Reads `2027-01-10T08:00Z` or `2027-01-10T08:00:00+01:00`: a deadline in hours needs the hour, and its zone.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        // RFC 3339 has seconds; people leave them out.
        let zone = text.find(['Z', 'z', '+']).or_else(|| text.rfind('-').filter(|at| *at > 10));
        let (time, zone) = text.split_at(zone.unwrap_or(text.len()));
        let seconds = if time.matches(':').count() == 1 { ":00" } else { "" };
        let date = format!("{time}{seconds}{zone}").parse::<Datetime>().ok();
        date.as_ref().and_then(Self::of).ok_or_else(|| Self::wrong(text))
    }

    fn wrong(text: &str) -> String {
        format!("`{text}` isn't a moment with its zone, such as 2027-01-10T08:00Z")
    }

    fn of(date: &Datetime) -> Option<Self> {
        let (day, time) = (Day::of(date)?, date.time?);
        let east = match date.offset? {
            Offset::Z => 0,
            Offset::Custom { minutes } => i64::from(minutes) * 60,
        };
        let seconds =
            u64::from(time.hour) * HOUR + u64::from(time.minute) * 60 + u64::from(time.second.unwrap_or(0));
        day.begins().checked_add(seconds)?.checked_add_signed(-east).map(Self)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::commands::date(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let date = Datetime::deserialize(input)?;
        Self::of(&date).ok_or_else(|| D::Error::custom(Self::wrong(&date.to_string())))
    }
}

/// A stretch of time in its largest unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// Reads `--today`: a moment, or a day as it ends, so that what falls due on it counts.
pub(crate) fn today(text: &str) -> Result<Moment, String> {
    Day::parse(text).map(|day| Moment(day.ends())).or_else(|_| Moment::parse(text)).map_err(|_| {
        format!("`{text}` is neither a date such as 2027-01-10 nor a moment such as 2027-01-10T08:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_century_reads_as_it_is_written() {
        for number in 0..40_000 {
            let day = Day(number);
            assert_eq!(Day::parse(&day.to_string()), Ok(day));
        }
        for wrong in ["2027-02-29", "1969-12-31", "2027-13-01", "2027-1-1", "", "2027-01-01T00:00:00Z", "x"] {
            assert!(Day::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Day::parse("2000-02-29").map(Day::begins), Ok(951_782_400));
        for (day, later) in
            [("2027-01-15", "2037-01-15"), ("2028-02-29", "2038-03-01"), ("2018-12-31", "2028-12-31")]
        {
            assert_eq!(Day::parse(day).map(|day| day.years_later(10).to_string()), Ok(later.to_owned()));
        }
    }

    #[test]
    fn a_moment_has_a_zone() {
        let noon = Ok(Moment(1_800_014_400));
        for text in
            ["2027-01-15T12:00Z", "2027-01-15T12:00:00Z", "2027-01-15 13:00+01:00", "2027-01-15T07:00-05:00"]
        {
            assert_eq!(Moment::parse(text), noon, "{text}");
        }
        for wrong in [
            "2027-01-15",
            "2027-01-15T12:00",
            "12:00Z",
            "2027-01-15T25:00Z",
            "",
            "Z",
            "1970-01-01T00:00+01:00",
        ] {
            assert!(Moment::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(today("2027-01-15"), Ok(Moment(1_800_057_599)));
        assert_eq!(today("2027-01-15T12:00Z"), noon);
    }
}
