fn main() {
    let a: Vec<String> = std::env::args().collect();
    let old = std::fs::read(&a[1]).unwrap();
    let new = std::fs::read(&a[2]).unwrap();
    let m = if a.len() > 3 {
        patchlane::binary::Method::Heuristic
    } else {
        patchlane::binary::Method::Relocations
    };
    let t = std::time::Instant::now();
    let c = patchlane::binary::compare_by(&old, &new, m, None).unwrap();
    let el = t.elapsed();
    println!("{} functions {:?} changed {} in {el:?}", c.method.name(), c.functions, c.changed.len());
    for x in &c.changed {
        println!("  changed {} {}->{} {:?}", x.new.name, x.old.size, x.new.size, x.why);
        for s in x.sources() {
            println!("      {}:{}-{} {:?}", s.file, s.first, s.last, s.inlined);
        }
    }
    for x in &c.data {
        println!("  data {} {}->{} {:?}", x.new.name, x.old.size, x.new.size, x.why);
    }
    for x in &c.renamed {
        println!("  renamed {} -> {}", x.0.name, x.1.name);
    }
    for x in &c.alone.added {
        println!("  + {} {}", x.name, x.size);
    }
    for x in &c.alone.removed {
        println!("  - {} {}", x.name, x.size);
    }
    for x in &c.data_alone.added {
        println!("  +data {} {}", x.name, x.size);
    }
    for x in &c.data_alone.removed {
        println!("  -data {} {}", x.name, x.size);
    }
    for x in &c.unnamed.added {
        println!("  +unnamed {:?}", x);
    }
    for x in &c.unnamed.removed {
        println!("  -unnamed {:?}", x);
    }
    println!(
        "  vectors {:?}\n  sections {:?}\n  strings {:?}\n  abs {:?}\n unseen {:?}",
        c.vectors, c.sections, c.strings, c.absolutes, c.unseen
    );
}
