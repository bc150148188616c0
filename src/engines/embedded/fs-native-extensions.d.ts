/** The package comes without types. This is the one function that we call. */
declare module 'fs-native-extensions' {
  /** Takes an exclusive lock that belongs to the open file (`F_OFD_SETLK`); false where another open file has it. */
  export function tryLock(fd: number): boolean;
}
