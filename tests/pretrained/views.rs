//! A head that is fitted to several views of each photo.

use super::*;

fn in_views(views: usize) -> Choices {
    Choices { head_views: Some(views), ..head_only() }
}

/// What was planned: the views of each photo to train on.
fn planned(training: Training) -> usize {
    let mut views = None;
    let tell = &mut |note| {
        if let Note::PlannedHead { views: planned, .. } = note {
            views = Some(planned);
        }
    };
    let prepared = training.prepare(tell).unwrap();
    assert_eq!(views, Some(prepared.settings.head_views));
    views.unwrap()
}

#[test]
fn a_run_that_is_interrupted_in_the_second_view_ends_with_the_same_weights() {
    let folder = TempDir::new().unwrap();
    let (data, start, run) =
        (data(folder.path(), 200, 60, &[]), model(folder.path()), folder.path().join("run"));
    fs::create_dir(&run).unwrap();
    let whole = Training::new(&data).start_from(&start).choose(in_views(3)).run().unwrap();
    let mut prepared = prepared(&data, &start, &run, in_views(3));
    let mut saver = saver(&prepared, &run);
    // A hundred photos into the second view, after a whole batch.
    assert_eq!(prepared.run(&mut [&mut saver, &mut StopAt(300)]).unwrap(), Ended::Stopped);
    drop(saver);
    let go_on = || {
        let saved = load_training(run.join("training.safetensors")).unwrap();
        let mut prepared =
            Training::new(&data).resume(saved).keep_features(&run).prepare(&mut |_| {}).unwrap();
        assert_eq!(prepared.settings.head_views, 3);
        let mut first = First::default();
        assert_eq!(prepared.run(&mut [&mut first]).unwrap(), Ended::Finished);
        assert_eq!(arrays(&prepared.network), arrays(&whole.network));
        first.0.unwrap()
    };
    assert_eq!(go_on(), 200 + 128);
    let all = 3 * 200 + 60;
    assert_eq!(go_on(), all);
    // The photos of a damaged batch, and of those behind it, go through again.
    let file = run.join("features-train-2");
    let bytes = fs::read(&file).unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    fs::write(&file, damaged).unwrap();
    let had = go_on();
    assert!((all - 200..all).contains(&had), "{had}");
    assert!(fs::read(&file).unwrap() == bytes, "it is whole again");
    assert_eq!(go_on(), all);
}

#[test]
fn views_give_another_head_and_the_same_for_any_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let (data, start) = (data(folder.path(), 90, 30, &[]), model(folder.path()));
    let trained = |threads: usize, views: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Training::new(&data).start_from(&start).choose(in_views(views)).run().unwrap())
    };
    let one = trained(1, 3);
    assert_eq!(arrays(&one.network), arrays(&trained(3, 3).network));
    assert_ne!(arrays(&one.network), arrays(&trained(1, 1).network));
    // What was found by the features of the ordinary view is what the network says.
    let (told, evaluation) = (one.progress.history[0].eval.unwrap(), one.evaluation.unwrap());
    assert_eq!((told.accuracy, one.info.preprocess), (evaluation.accuracy(), preprocess()));
    assert!((told.loss - evaluation.loss).abs() < 1e-4, "{} {}", told.loss, evaluation.loss);
}

#[test]
fn views_are_for_few_photos_or_enough_time_and_a_head_alone() {
    let folder = TempDir::new().unwrap();
    let (data, start) = (data(folder.path(), 420, 30, &[]), model(folder.path()));
    let views = |choices: Choices| planned(Training::new(&data).start_from(&start).choose(choices));
    let free = || Choices { head_views: None, ..head_only() };
    assert_eq!(views(Choices { minutes: Some(5.0), ..free() }), 3);
    // There is no time for a second pass.
    assert_eq!(views(Choices { minutes: Some(0.02), image_size: Some(256), ..free() }), 1);
    // The rest of the network trains then, which gives more.
    assert_eq!(views(Choices { minutes: Some(5.0), ..Choices::default() }), 1);
    assert_eq!(views(Choices { epochs: Some(3), head_views: Some(2), ..Choices::default() }), 2);
    // Where no time was chosen no clock decides.
    assert_eq!([views(free()), views(Choices { epochs: Some(1), ..free() })], [1, 1]);
    assert_eq!(views(Choices { epochs: Some(1), ..in_views(3) }), 3);
    let few = TempDir::new().unwrap();
    let data = self::data(few.path(), 60, 30, &[]);
    for choices in [Choices { epochs: Some(1), ..Choices::default() }, Choices::default()] {
        assert_eq!(planned(Training::new(&data).start_from(&start).choose(choices)), 3);
    }
}

#[test]
fn views_without_a_new_head_are_refused() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path(), 12, 6, &[]);
    let choices = || Choices { head_views: Some(3), ..Choices::default() };
    let error = Training::new(&data).choose(choices()).run().unwrap_err().to_string();
    assert!(error.contains("a network that begins with other classes"), "{error}");
    let same = folder.path().join("same.safetensors");
    let (network, _) = network().with_head(3).unwrap();
    let classes = ClassNames::read(data.join("labels.txt")).unwrap().names().to_vec();
    save_model(&same, &network, &ModelInfo { classes, preprocess: preprocess() }).unwrap();
    let error = Training::new(&data).start_from(same).choose(choices()).run().unwrap_err().to_string();
    assert!(error.contains("a network that begins with other classes"), "{error}");
}
