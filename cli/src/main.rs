//! The `recsim` command.

fn main() -> std::process::ExitCode {
    recsim_cli::main()
}
