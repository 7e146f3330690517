use super::*;
use serde_json::Value;

fn generic() -> String {
    template("example.com", "pump", GENERIC_FLASH)
}

#[test]
fn the_template_is_a_configuration() {
    let config = Config::parse(&template("example.com", "pump \"3\"", GENERIC_FLASH)).unwrap();
    assert_eq!(config.product.class, "pump \"3\"");
    config.flash.unwrap().layout().unwrap();
    assert!(generic().lines().count() <= 32, "it stays small");
}

#[test]
fn ids_are_rfc_9562_version_5() {
    // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
    let config = Config::parse(&generic()).unwrap();
    let vendor = Uuid::from_bytes(config.product().vendor.0);
    assert_eq!(vendor.to_string(), "cfbff0d1-9375-5685-968c-48ce8b15ae17");
}

/// What is said about the template with `from` replaced; the line is that of `to`.
fn told(from: &str, to: &str) -> (String, String) {
    let text = generic();
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let error = Config::parse(&text).unwrap_err();
    assert_eq!(error.code, Code::Config);
    let word = to.lines().find(|line| !line.is_empty()).unwrap();
    let line = 1 + text[..text.find(word).unwrap()].matches('\n').count();
    let what = error.what.strip_prefix(&format!("line {line}: ")).unwrap_or(&error.what);
    (what.to_owned(), error.next)
}

#[test]
fn misspelt_keys_are_named_at_every_level_with_the_one_that_was_meant() {
    for (right, wrong) in [
        ("[flash]", "[flsh]"),
        ("[build]", "[bild]"),
        ("vendor =", "vendr ="),
        ("security =", "securty ="),
        ("chunk =", "chunks ="),
        ("erase_size =", "erase-size ="),
        ("state =", "stat ="),
        ("state = { offset", "state = { ofset"),
        ("primary = { offset = 0x20000, size", "primary = { offset = 0x20000, sise"),
    ] {
        let word = |text: &str| {
            let word = text.trim_matches(|c: char| "[] =".contains(c));
            word.rsplit([' ', '{']).next().unwrap_or(word).to_owned()
        };
        let (what, next) = told(right, wrong);
        assert_eq!(what, format!("unknown key `{}`", word(wrong)));
        assert!(next.starts_with(&format!("did you mean `{}`? There are: ", word(right))), "{next}");
    }
    let (what, next) = told("[build]", "[frobnicate]");
    assert_eq!(what, "unknown key `frobnicate`");
    assert_eq!(next, "there are: product, trust, build, flash, lint, ram, ledger, evidence");
}

#[test]
fn wrong_values_are_named_with_what_they_have_to_be() {
    let u32s = "it has to be a whole number from 0 to 4294967295";
    let u16s = "it has to be a whole number from 0 to 65535";
    for (from, to, what, next) in [
        ("erase_size = 4096", "erase_size = -1", "`erase_size` is -1", u32s),
        ("erase_size = 4096", "erase_size = 4294967296", "`erase_size` is 4294967296", u32s),
        (
            "erase_size = 4096",
            "erase_size = 99999999999999999999999",
            "`erase_size` is 99999999999999999999999",
            u32s,
        ),
        ("erase_size = 4096", "erase_size = 4.5", "`erase_size` is 4.5", u32s),
        ("erase_size = 4096", "erase_size = \"4K\"", "`erase_size` is \"4K\"", u32s),
        ("erase_size = 4096", "erase_size = true", "`erase_size` is true", u32s),
        ("state = { offset = 0x10000", "state = { offset = -0", "", ""),
        ("size = 0x21000", "size = -1", "`size` is -1", u32s),
        ("hardware = [1]", "hardware = [70000]", "`hardware` is 70000", u16s),
        ("hardware = [1]", "hardware = 1", "`hardware` is 1", "it has to be a list, such as [1]"),
        ("class = \"pump\"", "class = 3", "`class` is 3", "it has to be text in quotes"),
        ("root = \"trust/root-1.plr\"", "root = 3", "`root` is 3", "it has to be text in quotes"),
        (
            "state = { offset = 0x10000, size = 0x8000 }",
            "state = 3",
            "`state` is 3",
            "it has to be a table: [section], or { key = value } on one line",
        ),
        ("[flash]", "[[flash]]", "`[[flash]]` is a list of tables, where one is wanted", "write `[flash]`"),
        ("chunk = 1024", "chunk = 1025", "[build] chunk is out of range", "choose 128 to 1024 bytes"),
        (
            "# addresses = [0x08020000]",
            "addresses = [1, 2, 1]",
            "[build] addresses repeats one",
            "name each slot's address once",
        ),
    ] {
        if what.is_empty() {
            // TOML has a negative zero; as an integer it is zero.
            assert_eq!(Config::parse(&generic().replace(from, to)).unwrap().flash.unwrap().state.offset, 0);
            continue;
        }
        assert_eq!(told(from, to), (what.to_owned(), next.to_owned()));
    }
}

#[test]
fn what_is_there_twice_or_not_at_all_is_named() {
    let twice = |what: &str| (format!("`{what}` is there twice"), "keep one of them".to_owned());
    let text = generic();
    let error = Config::parse(&format!("{text}\n[product]\n")).unwrap_err();
    assert_eq!((error.what.split_once(": ").unwrap().1.to_owned(), error.next), twice("product"));
    let error = Config::parse(&format!("{text}write_size = 4\n")).unwrap_err();
    assert_eq!((error.what.split_once(": ").unwrap().1.to_owned(), error.next), twice("write_size"));
    let error = Config::parse(&format!("{text}state.size = 4\n")).unwrap_err();
    assert!(error.what.contains("cannot extend value of type inline table"), "{}", error.what);
    let missing = |what: &str, from: &str, to: &str| {
        let error = Config::parse(&text.replacen(from, to, 1)).unwrap_err();
        assert!(error.what.ends_with(what), "{}", error.what);
    };
    missing("`product` is missing", &text, "");
    missing("[product] `vendor` is missing", "vendor = \"example.com\"", "");
    missing("[flash] `primary` is missing", "primary =", "# primary =");
    missing("state `size` is missing", "offset = 0x10000, size = 0x8000", "offset = 0x10000");
    missing("[product] hardware is empty", "hardware = [1]", "hardware = []");
    missing("unclosed table, expected `]`", "[flash]", "[flash");
}

/// Dotted keys and tables of their own are TOML too.
#[test]
fn stretches_can_be_written_in_any_way_that_toml_has() {
    let text = generic();
    let dotted = text.replace(
        "state = { offset = 0x10000, size = 0x8000 }",
        "state.offset = 65_536\nstate.size = 0o100000",
    );
    assert_eq!(Config::parse(&dotted).unwrap().flash.unwrap().state.end(), 0x18000);
    let table = text.replace("state = { offset = 0x10000, size = 0x8000 }", "")
        + "[flash.state]\noffset = 0x10000\nsize = 0x8000\n";
    assert_eq!(Config::parse(&table).unwrap().flash.unwrap().state.end(), 0x18000);
}

const SCHEMA: &str = include_str!("../../schema/patchlane.schema.json");

/// A configuration with every key.
fn full() -> toml::Table {
    let stretch =
        |offset| format!("{{ offset = {offset}, size = 1, write_size = 1, erase_size = 1, chip = \"a\" }}");
    let text = format!(
        "[product]\nvendor = \"a\"\nclass = \"b\"\nhardware = [1]\n[trust]\nroot = \"r\"\nsecurity = [\"s\"]\n\
         feature = [\"f\"]\n[build]\nchunk = 512\naddresses = [1]\n[flash]\nboard = \"x\"\naddress = 1\n\
         write_size = 1\nerase_size = 1\ndirect_xip = false\nbootloader = {}\nstate = {}\nprimary = {}\nsecondary = {}\n\
         [ram]\naddress = 1\nsize = 1\n[ledger]\npath = \"l\"\n[evidence]\nkeys = [\"e\"]\n\
         [lint]\nprofile = \"cra\"\ncatalogues = [\"cra\"]\napprovers = [\"a\"]\n\
         [lint.reproduce]\ncommand = [\"make\"]\nartifact = \"a\"\n",
        stretch(0),
        stretch(1),
        stretch(2),
        stretch(3)
    );
    text.parse().unwrap()
}

fn parse(table: &toml::Table) -> Result<Config> {
    Config::parse(&toml::to_string(table).unwrap())
}

/// The table at a path.
fn at<'a>(table: &'a mut toml::Table, path: &[&str]) -> &'a mut toml::Table {
    path.iter().fold(table, |table, key| table.get_mut(*key).unwrap().as_table_mut().unwrap())
}

/// Follows a reference.
fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(path) => schema.pointer(path.trim_start_matches('#')).unwrap(),
        None => node,
    }
}

/// The keys that the program knows there: its own error lists them.
fn known(path: &[&str]) -> Vec<String> {
    let mut table = full();
    at(&mut table, path).insert("zzzzzzzzzzzzzzzz".into(), 1.into());
    let next = parse(&table).unwrap_err().next;
    let mut names: Vec<String> =
        next.strip_prefix("there are: ").unwrap().split(", ").map(str::to_owned).collect();
    names.sort();
    names
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// Both directions: the program knows what the schema lists, and the schema lists what the program knows.
fn in_step(schema: &Value, node: &Value, path: &[&str]) -> usize {
    assert_eq!(node["additionalProperties"], false, "{path:?}");
    assert_eq!(keys(&node["properties"]), known(path), "{path:?}");
    let required: Vec<&str> = node["required"]
        .as_array()
        .map_or(Vec::new(), |list| list.iter().map(|v| v.as_str().unwrap()).collect());
    let mut count = 0;
    for (key, property) in node["properties"].as_object().unwrap() {
        assert!(property["description"].is_string(), "{path:?} {key} has no description");
        let property = resolved(schema, property);
        let mut without = full();
        assert!(at(&mut without, path).remove(key).is_some(), "{path:?} {key}");
        let error = parse(&without).err().map(|e| e.what);
        assert_eq!(error.is_some(), required.contains(&key.as_str()), "{path:?} {key}: {error:?}");
        let with = |value: toml::Value| {
            let mut table = full();
            at(&mut table, path).insert(key.clone(), value);
            parse(&table)
        };
        let deeper: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        count += 1 + kind(schema, property, &with, &deeper);
    }
    count
}

/// What the schema says about values holds: the outermost are taken, and one more isn't.
fn kind(
    schema: &Value,
    property: &Value,
    with: &dyn Fn(toml::Value) -> Result<Config>,
    path: &[&str],
) -> usize {
    assert_eq!(with(true.into()).is_ok(), property["type"] == "boolean", "{path:?}");
    match property["type"].as_str().unwrap() {
        "boolean" => {
            assert!(with(1.into()).is_err(), "{path:?}");
            0
        }
        "integer" => {
            let (least, most) =
                (property["minimum"].as_i64().unwrap(), property["maximum"].as_i64().unwrap());
            for (value, good) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                assert_eq!(with(value.into()).is_ok(), good, "{path:?} {value}");
            }
            0
        }
        "string" if property["enum"].is_array() => {
            let names = property["enum"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            assert!(names.clone().all(|name| with(name.into()).is_ok()), "{path:?}");
            assert!(names.clone().all(|name| with(name.to_uppercase().into()).is_err()), "{path:?}");
            0
        }
        "string" => {
            assert!(with("x".into()).is_ok(), "{path:?}");
            assert_eq!(with(" ".into()).is_err(), property["pattern"].is_string(), "{path:?}");
            0
        }
        "array" => {
            let items = resolved(schema, &property["items"]);
            assert_eq!(with(toml::Value::Array(vec![])).is_err(), property["minItems"] == 1, "{path:?}");
            if items["type"] == "integer" {
                let pair = |n: i64| toml::Value::Array(vec![n.into(), n.into()]);
                assert_eq!(with(pair(5)).is_err(), property["uniqueItems"] == true, "{path:?}");
                let most = items["maximum"].as_i64().unwrap();
                assert!(with(vec![most].into()).is_ok() && with(vec![most + 1].into()).is_err(), "{path:?}");
            } else {
                assert!(with(vec!["x"].into()).is_ok(), "{path:?}");
            }
            0
        }
        "object" => {
            assert!(with(vec![1, 1].into()).is_err(), "{path:?}: a list isn't a table");
            in_step(schema, property, path)
        }
        other => panic!("{path:?}: {other}"),
    }
}

#[test]
fn the_schema_is_in_step_with_the_program() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(in_step(&schema, &schema, &[]), 8 + 3 + 3 + 2 + 9 + 4 * 5 + 2 + 1 + 1 + 4 + 2);
}
