/** The door `semel/workers`. */
export { startReaper, type Reaper, type ReaperEvent, type ReaperOptions } from './reap.ts';
