/**
 * The command line. Commands work with the same rooms as the service: beside it on PostgreSQL, inside it (through the
 * control socket in `DATA_DIR`) when it runs on the embedded store. Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
export { type CommandOutput, type CommandRooms, exitFailed, exitOk, exitUsage } from './command.ts';
export { askControl, controlPathMax, openControl } from './control.ts';
export { helpOf, type ParsedCommand, parseCommand, roomCommands, runCommand, usageOf } from './run.ts';
export { createOutput, readSecret, type Terminal } from './terminal.ts';
