//! The thirty checks, in one table.

use super::{Check, Grade, advisory, build, image, inventory, proof, release, sbom, source};
use Grade::{Error, Waivable};

macro_rules! checks {
    ($($number:literal $name:literal $grade:ident $feature:literal $run:path, $title:literal, $next:literal;)+) => {
        /// Every check, by number.
        pub static CHECKS: [Check; 30] = [$(Check {
            number: $number,
            name: $name,
            title: $title,
            grade: $grade,
            feature: $feature,
            next: $next,
            run: $run,
        }),+];
    };
}

checks! {
    1 "base" Error false release::base,
        "the base is a released, signed bundle",
        "name the bundle that devices run: `base` in the change record";
    2 "version" Error false release::version,
        "the baseline is the base's, and the patch handles strictly more",
        "a patch keeps the baseline; take the next level, and list in `open` only what the base has open too";
    3 "support" Error false release::support,
        "the baseline is supported, and until when is stated",
        "state `support_end`, not before the base's; an ended baseline gets no patches";
    4 "advisory-ids" Error false release::advisory_ids,
        "at least one vulnerability is named, with its severity",
        "list what the patch fixes under [[closes]]";
    5 "csaf" Error false advisory::csaf,
        "a CSAF advisory names each vulnerability with this release as fixed, or an embargo is stated",
        "name the advisory under [advisory] csaf, or say [advisory] embargo with reason and date";
    6 "commits" Error false source::commits,
        "every commit since the base names the vulnerability it fixes",
        "reword the commit with a trailer such as `Fixes: CVE-2027-1`, or take it out of the patch";
    7 "scope" Error false source::scope,
        "only files within the declared scope changed",
        "take the other changes out, or declare the scope honestly under [source] scope";
    8 "churn" Waivable false source::churn,
        "the fix is small",
        "split the fix, or have a waiver signed: `patchlane lint waive 8`";
    9 "review" Error false source::review,
        "the tree is clean and tagged, and no author reviewed his own commit",
        "commit or stash, tag the head, and have someone else review: trailer `Reviewed-by`";
    10 "toolchain" Waivable false build::toolchain,
        "toolchain, target, flags and linker script are the base's",
        "build with the toolchain of the base, or have a waiver signed: `patchlane lint waive 10`";
    11 "build-features" Error false build::features,
        "Cargo features, Kconfig options and defines are the base's",
        "build with the options of the base: another option is another feature";
    12 "reproducible" Error false build::reproducible,
        "two clean builds give the bytes of the image",
        "take timestamps and paths out of the build; name the command under [lint.reproduce]";
    13 "sbom" Error false sbom::valid,
        "the bill of materials is valid and names the image's digest",
        "make the SBOM from this build, with the image's SHA-256 or SHA-512 in it";
    14 "components" Error false sbom::components,
        "no component was added, removed or renamed",
        "a new dependency is a feature update; find a fix that needs none";
    15 "component-versions" Error false sbom::versions,
        "a component's version changed only where an advisory or VEX names it",
        "pin the other versions to the base's, or name the component in the advisory";
    16 "semver" Waivable false sbom::semver,
        "a component's version moved within its semantic patch level",
        "read the component's changelog, and have a waiver signed: `patchlane lint waive 16`";
    17 "known-vulnerabilities" Error false advisory::snapshot,
        "no known exploitable vulnerability is left, by a dated snapshot",
        "scan the SBOM anew; fix what is exploitable, and state the rest in VEX";
    18 "functions" Error true image::functions,
        "every function that changed is reached from a changed line",
        "build both with the same toolchain and with debug information; take out what the fix doesn't need";
    19 "symbols" Waivable false image::symbols,
        "no symbol, export or interrupt vector was added or removed",
        "if the fix needs the new function, have a waiver signed: `patchlane lint waive 19`";
    20 "growth" Waivable false image::growth,
        "sections and texts grew within limits",
        "find out what grew, or have a waiver signed: `patchlane lint waive 20`";
    21 "interfaces" Error true inventory::interfaces,
        "ports, function codes, commands, registers, configuration keys and features are the base's",
        "this is a feature update: build it as one, `combined` with a reason if the fix can't be had otherwise";
    22 "schemas" Error true inventory::schemas,
        "configuration, storage and wire formats are the base's",
        "this is a feature update: build it as one, `combined` with a reason if the fix can't be had otherwise";
    23 "debug-and-memory" Error true inventory::debug,
        "debug interfaces, boot keys and the memory map are the base's",
        "close the port, put the map back: a patch changes none of them";
    24 "exploit" Error false proof::exploit,
        "the exploit works on the base and fails on the patch",
        "run `patchlane replay -o FILE` with the exploit recorded, and name its test results under [proof] exploit";
    25 "replay" Error false proof::replay,
        "the same inputs give the same outputs, but for those of the vulnerability",
        "run `patchlane replay -o FILE`, and name recording and statement under [proof]";
    26 "budget" Waivable false proof::budget,
        "flash, RAM, stack and time stay within budget",
        "measure under [budget], or have a waiver signed: `patchlane lint waive 26`";
    27 "assessment" Error false release::assessment,
        "the four questions on substantial modification are answered with no, and the risk assessment is named",
        "answer each question under [assessment] with its reason";
    28 "installs" Error false proof::installs,
        "it installs over every base named, survives every power cut, and goes back when its trial fails",
        "state [flash] in patchlane.toml, and name images that differ from the base";
    29 "notice" Error false release::notice,
        "the notice says how to install, what stops meanwhile, what remains, and how to go back",
        "complete [notice] in the change record";
    30 "roles" Error false release::roles,
        "the keys at hand are of the security role and reach its threshold",
        "list the security role's keys under [trust] security; `root show` tells which they are";
}
