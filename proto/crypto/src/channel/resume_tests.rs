//! Lost connections, full buffers, and ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;

use crate::{CryptoError, testing::assert_brittle};

use super::{
    CloseReason, Event, FirstFrame, Lane, MAX_DATA, MAX_FRAME, Message, RESUME_BUFFER, first_frame,
    test_pair::{World, data, tail},
};

#[test]
fn a_resumption_sends_the_stored_ciphertext_byte_for_byte() {
    let (mut client, mut cell) = World::new(1).open();
    let lost = [client.send_data(b"one").unwrap(), client.send_data(b"two").unwrap()].concat();
    let lost_output = cell.send_data(Lane::Main, b"output").unwrap();
    client.detach();
    cell.detach();
    assert!(client.send_data(b"three").unwrap().is_empty(), "kept for the resumption");

    let resume = client.resume().unwrap();
    assert_eq!(first_frame(&resume), Ok(FirstFrame::Resume(client.id())));
    let step = cell.feed(&resume).unwrap();
    assert_eq!(step.events, [Event::Resumed]);
    assert_eq!(step.frames[1..], lost_output);
    let again = client.feed(&step.frames[0]).unwrap();
    assert_eq!(again.events, [Event::Resumed]);
    assert_eq!(again.frames[..2], lost);
    let got: Vec<u8> = again.frames.iter().flat_map(|frame| data(&cell.feed(frame).unwrap())).collect();
    assert_eq!(got, b"onetwothree");
    assert_eq!(data(&client.feed(&lost_output[0]).unwrap()), b"output");
}

#[test]
fn a_lost_confirmation_is_made_up_for_by_the_resumption() {
    let mut world = World::new(2);
    let (mut client, hello) = world.hello(1, &tail());
    let (mut cell, accept) = world.cell.accept(&hello, &mut world.rng).unwrap();
    client.feed(&accept).unwrap();
    client.detach();
    let step = cell.feed(&client.resume().unwrap()).unwrap();
    assert_eq!(step.events, [Event::Open(tail()), Event::Resumed]);
}

#[test]
fn a_channel_that_never_opened_cannot_be_resumed() {
    let mut world = World::new(3);
    let (mut client, _) = world.hello(1, &tail());
    assert_eq!(client.resume().err(), Some(CryptoError::OutOfOrder));
}

#[test]
fn old_resumptions_replayed_change_nothing() {
    let (mut client, mut cell) = World::new(4).open();
    let resume = client.resume().unwrap();
    let resumed = cell.feed(&resume).unwrap().frames.remove(0);
    client.feed(&resumed).unwrap();
    assert_eq!(cell.feed(&resume).err(), Some(CryptoError::OutOfOrder));
    assert_eq!(client.feed(&resumed).err(), Some(CryptoError::OutOfOrder));
    let second = client.resume().unwrap();
    assert_eq!(client.feed(&resumed).err(), Some(CryptoError::OutOfOrder), "the answer to the first");
    let resumed = cell.feed(&second).unwrap().frames.remove(0);
    client.feed(&resumed).unwrap();
    assert_eq!(data(&cell.feed(&client.send_data(b"on").unwrap()[0]).unwrap()), b"on");
}

#[test]
fn damaged_records_and_control_frames_change_nothing() {
    let (mut client, cell) = World::new(5).open();
    let cell = RefCell::new(cell);
    let record = client.send_data(b"input").unwrap().remove(0);
    // a counter flipped to another one is out of order, everything else does not open
    assert_brittle(&record, |bytes| bytes == record || cell.borrow_mut().feed(bytes).is_ok());
    assert_eq!(data(&cell.borrow_mut().feed(&record).unwrap()), b"input");
    let resume = client.resume().unwrap();
    assert_brittle(&resume, |bytes| bytes == resume || cell.borrow_mut().feed(bytes).is_ok());
    let resumed = cell.borrow_mut().feed(&resume).unwrap().frames.remove(0);
    let client = RefCell::new(client);
    assert_brittle(&resumed, |bytes| bytes == resumed || client.borrow_mut().feed(bytes).is_ok());
    client.borrow_mut().feed(&resumed).unwrap();
}

#[test]
fn damaged_acknowledgements_are_refused() {
    let (mut client, mut cell) = World::new(12).open();
    let mut acks = Vec::new();
    while acks.is_empty() {
        for frame in client.send_data(b"x").unwrap() {
            acks.extend(cell.feed(&frame).unwrap().frames);
        }
    }
    let client = RefCell::new(client);
    assert_brittle(&acks[0], |bytes| client.borrow_mut().feed(bytes).is_ok());
}

#[test]
fn gaps_are_refused_and_repeats_ignored() {
    let (mut client, mut cell) = World::new(6).open();
    let frames = [client.send_data(b"a").unwrap(), client.send_data(b"b").unwrap()].concat();
    assert_eq!(cell.feed(&frames[1]).err(), Some(CryptoError::OutOfOrder));
    assert_eq!(data(&cell.feed(&frames[0]).unwrap()), b"a");
    assert!(cell.feed(&frames[0]).unwrap().events.is_empty());
    assert_eq!(data(&cell.feed(&frames[1]).unwrap()), b"b");
}

#[test]
fn frames_do_not_reflect() {
    let (mut client, mut cell) = World::new(7).open();
    let own = client.send_data(b"mine").unwrap().remove(0);
    assert_eq!(client.feed(&own).err(), Some(CryptoError::Refused));
    let own = cell.send_data(Lane::Main, b"mine").unwrap().remove(0);
    assert_eq!(cell.feed(&own).err(), Some(CryptoError::Refused));
    let resume = client.resume().unwrap();
    assert_eq!(client.feed(&resume).err(), Some(CryptoError::Refused));
}

#[test]
fn the_window_fills_and_acknowledgements_empty_it() {
    let (mut client, mut cell) = World::new(8).open();
    let mut on_the_way = Vec::new();
    while cell.capacity() > 0 {
        let len = cell.capacity().min(MAX_DATA);
        on_the_way.extend(cell.send_data(Lane::Main, &vec![7; len]).unwrap());
    }
    assert!(on_the_way.iter().map(Vec::len).sum::<usize>() <= RESUME_BUFFER);
    assert!(on_the_way.iter().all(|frame| frame.len() <= MAX_FRAME));
    assert_eq!(cell.send_data(Lane::Main, b"x").err(), Some(CryptoError::WindowFull));
    assert!(CryptoError::WindowFull.is_retryable());
    // an end can always be told
    on_the_way.extend(cell.send(&Message::Eof).unwrap());
    let mut acks = Vec::new();
    for frame in &on_the_way {
        acks.extend(client.feed(frame).unwrap().frames);
    }
    assert!(!acks.is_empty());
    for ack in &acks {
        cell.feed(ack).unwrap();
    }
    // replayed, an Ack tells nothing new
    cell.feed(&acks[0]).unwrap();
    assert_eq!(cell.send(&Message::Exit(0)).unwrap().len(), 1);
}

#[test]
fn past_the_buffer_a_lost_channel_ends() {
    let (mut client, mut cell) = World::new(9).open();
    cell.detach();
    while cell.capacity() > 0 {
        let len = cell.capacity().min(MAX_DATA);
        assert!(cell.send_data(Lane::Main, &vec![7; len]).unwrap().is_empty());
    }
    assert_eq!(cell.send_data(Lane::Main, b"x").err(), Some(CryptoError::ChannelEnded));
    assert!(cell.is_finished());
    assert_eq!(cell.feed(&client.resume().unwrap()).err(), Some(CryptoError::ChannelEnded));
}

#[test]
fn messages_come_in_order_and_each_only_from_its_side() {
    let (mut client, mut cell) = World::new(10).open();
    assert!(
        client.send(&Message::Exit(0)).is_err() && cell.send(&Message::Resize { rows: 1, cols: 1 }).is_err()
    );
    let frames = [
        client.send(&Message::Resize { rows: 24, cols: 80 }).unwrap(),
        client.send_data(b"ls").unwrap(),
        client.send(&Message::Eof).unwrap(),
    ]
    .concat();
    let events: Vec<_> = frames.iter().flat_map(|frame| cell.feed(frame).unwrap().events).collect();
    assert_eq!(
        events,
        [
            Event::Message(Message::Resize { rows: 24, cols: 80 }),
            Event::Message(Message::Data(Lane::Main, b"ls".to_vec())),
            Event::Message(Message::Eof),
        ]
    );
    assert_eq!(client.send_data(b"more").err(), Some(CryptoError::ChannelEnded), "after the end of input");
    let frames = [
        cell.send_data(Lane::Error, b"oh").unwrap(),
        cell.send(&Message::Exit(2)).unwrap(),
        cell.send(&Message::Close(CloseReason::Done)).unwrap(),
    ]
    .concat();
    let steps: Vec<_> = frames.iter().map(|frame| client.feed(frame).unwrap()).collect();
    assert_eq!(steps[0].events, [Event::Message(Message::Data(Lane::Error, b"oh".to_vec()))]);
    assert_eq!(steps[1].events, [Event::Message(Message::Exit(2))]);
    assert!(client.is_finished() && !cell.is_finished(), "the cell keeps the end until it is acknowledged");
    cell.feed(&steps[2].frames[0]).unwrap();
    assert!(cell.is_finished());
}

#[test]
fn a_lost_close_is_sent_again() {
    let (mut client, mut cell) = World::new(11).open();
    cell.send(&Message::Close(CloseReason::Locked)).unwrap();
    client.detach();
    cell.detach();
    let step = cell.feed(&client.resume().unwrap()).unwrap();
    client.feed(&step.frames[0]).unwrap();
    let step = client.feed(&step.frames[1]).unwrap();
    assert_eq!(step.events, [Event::Message(Message::Close(CloseReason::Locked))]);
}
