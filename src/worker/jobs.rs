//! One job or a batch of them, as a search returns it.

use super::job::Job;
use crate::message::Content;

/// What a search adds its jobs to.
pub(crate) trait Jobs<M: Content + ?Sized>: Default {
    fn push(&mut self, job: Job<M>);
}

impl<M: Content + ?Sized> Jobs<M> for Vec<Job<M>> {
    #[inline]
    fn push(&mut self, job: Job<M>) {
        self.push(job);
    }
}

/// One job, where a batch is a vector.
pub(crate) struct One<M: Content + ?Sized>(pub(crate) Option<Job<M>>);

impl<M: Content + ?Sized> Default for One<M> {
    fn default() -> Self {
        One(None)
    }
}

impl<M: Content + ?Sized> Jobs<M> for One<M> {
    #[inline]
    fn push(&mut self, job: Job<M>) {
        self.0 = Some(job);
    }
}
