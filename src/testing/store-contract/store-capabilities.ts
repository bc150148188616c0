/** What an engine may lack. Where it declares a lack, the suite proves that it is one. */
export interface StoreCapabilities {
  /** Time, timers and randomness are those of the world that `open` is given; otherwise the engine has its own. */
  readonly injectedWorld: boolean;
}
