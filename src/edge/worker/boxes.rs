//! Boxes for the futures that answer requests. A worker uses each of them again: a request costs no allocation of that
//! size, and a connection between two requests carries none.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How many empty ones a worker keeps.
const MOST: usize = 64;

/// A box with room for a future.
type Room<F> = Pin<Box<Option<F>>>;

/// Where a worker's boxes are. The futures of all its answers are of one kind, and that has no name: it is known once the
/// first one is there.
#[derive(Default)]
pub(super) struct Shelf(OnceCell<Rc<dyn Any>>);

impl Shelf {
    /// The boxes for futures of this kind.
    pub(super) fn boxes<F: 'static>(&self) -> Boxes<F> {
        let boxes = self.0.get_or_init(|| Rc::new(RefCell::new(Vec::<Room<F>>::new())));
        Boxes(Rc::clone(boxes).downcast().unwrap_or_default())
    }
}

/// Empty boxes.
pub(super) struct Boxes<F>(Rc<RefCell<Vec<Room<F>>>>);

impl<F> Boxes<F> {
    /// Puts a future into a box.
    pub(super) fn put(&self, future: F) -> Boxed<F> {
        let kept = self.0.borrow_mut().pop();
        let room = match kept {
            Some(mut room) => {
                room.set(Some(future));
                room
            }
            None => Box::pin(Some(future)),
        };
        Boxed { room: Some(room), home: Rc::clone(&self.0) }
    }
}

/// A future in its box, which goes back when this is dropped.
pub(super) struct Boxed<F> {
    /// `None`: it is being dropped.
    room: Option<Room<F>>,
    home: Rc<RefCell<Vec<Room<F>>>>,
}

impl<F: Future> Future for Boxed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.room.as_mut().and_then(|room| room.as_mut().as_pin_mut());
        future.expect("it is there until it is dropped").poll(context)
    }
}

impl<F> Drop for Boxed<F> {
    fn drop(&mut self) {
        let Some(mut room) = self.room.take() else { return };
        // Before the boxes are borrowed: what is dropped with it may drop another one.
        room.set(None);
        let mut home = self.home.borrow_mut();
        if home.len() < MOST {
            home.push(room);
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_box_is_used_again_and_what_was_in_it_is_gone() {
        let shelf = Shelf::default();
        let boxes: Boxes<Ready<Rc<u32>>> = shelf.boxes();
        let (number, mut context) = (Rc::new(7), Context::from_waker(Waker::noop()));
        for _ in 0..3 {
            let mut answering = boxes.put(ready(Rc::clone(&number)));
            assert_eq!(Pin::new(&mut answering).poll(&mut context), Poll::Ready(Rc::clone(&number)));
            // One that is given up, beside it.
            drop(shelf.boxes::<Ready<Rc<u32>>>().put(ready(Rc::clone(&number))));
        }
        assert_eq!((boxes.0.borrow().len(), Rc::strong_count(&number)), (2, 1));
    }

    #[test]
    fn a_crowd_leaves_no_more_boxes_than_some() {
        let shelf = Shelf::default();
        let boxes: Boxes<Ready<()>> = shelf.boxes();
        let crowd: Vec<_> = (0..3 * MOST).map(|_| boxes.put(ready(()))).collect();
        drop(crowd);
        assert_eq!(boxes.0.borrow().len(), MOST);
    }
}
