//! Which output types may be linked into which input types.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_graph::SocketType;

#[test]
fn links_match_by_equality_by_star_and_by_shared_members_only() {
    for (received, wanted, matches) in [
        ("IMAGE", "IMAGE", true),
        ("IMAGE", "LATENT", false),
        ("INT", "FLOAT", false),
        ("FLOAT", "INT", false),
        ("INT,STRING", "STRING,INT", true),
        ("STRING, INT", "INT , STRING", true),
        ("STRING", "STRING,INT", true),
        ("STRING,INT", "STRING", true),
        ("STRING,BOOLEAN", "STRING,INT", true),
        ("BOOLEAN,FLOAT", "STRING,INT", false),
        ("INT", "IMAGE,FLOAT", false),
        ("", "", true),
        ("STRING", "", false),
        ("", "STRING", false),
        ("*", "IMAGE", true),
        ("IMAGE", "*", true),
        ("*", "*", true),
        ("IMAGE", "MASK,*", true),
        ("*,MASK", "IMAGE", true),
        ("COMFY_MATCHTYPE_V3", "IMAGE", true),
        ("IMAGE", "COMFY_MATCHTYPE_V3", true),
        ("image", "IMAGE", false),
    ] {
        let fits = SocketType::from(received).links_into(&SocketType::from(wanted));
        assert_eq!(fits, matches, "{received:?} into {wanted:?}");
    }
}

#[test]
fn lists_of_choices_match_when_equal_and_go_into_combo() {
    let ab = SocketType::combo(["a", "b"]);
    let abc = SocketType::combo(["a", "b", "c"]);
    assert!(ab.links_into(&ab.clone()));
    assert!(!ab.links_into(&abc));
    assert!(ab.links_into(&"COMBO".into()));
    assert!(!SocketType::from("COMBO").links_into(&ab));
    assert!(!ab.links_into(&"STRING".into()));
    assert!(!SocketType::from("STRING").links_into(&ab));
    assert!(ab.links_into(&"*".into()));
    assert!(SocketType::from("*").links_into(&ab));
}
