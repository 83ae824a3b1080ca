//! The form fields at the head of a body, for rooms that must look into it. No route asks for them yet, so what is
//! here is the empty form that the corridor hands to schemes which read from the head alone.

/// Form fields that were read before the decision.
#[derive(Debug)]
pub struct Preface {
    fields: Vec<(String, String)>,
}

impl Preface {
    /// No form was looked into.
    pub const EMPTY: Self = Self { fields: Vec::new() };

    /// Every value of this field, in the order it was sent.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}
