/** A graph in rows: the edges that leave node `n` are those at `starts[n]` up to `starts[n + 1]`. */
export interface EdgeRows {
  readonly starts: Int32Array;
  readonly targets: Int32Array;
}

/**
 * The strongly connected components of two and more nodes: Tarjan, *Depth-First Search and Linear Graph Algorithms* (1972),
 * with a stack of its own in place of recursion, since a history is deeper than any call stack. `follows` says which edges
 * there are.
 */
export function stronglyConnected(
  { starts, targets }: EdgeRows,
  follows: (edge: number) => boolean,
): readonly (readonly number[])[] {
  const count = starts.length - 1;
  const index = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const next = starts.slice(0, count);
  const components: number[][] = [];
  const stack: number[] = [];
  const path: number[] = [];
  let visited = 0;

  const enter = (node: number): void => {
    index[node] = low[node] = visited++;
    onStack[node] = 1;
    stack.push(node);
    path.push(node);
  };
  const lower = (node: number, to: number): void => {
    low[node] = Math.min(at(low, node), to);
  };
  const leave = (node: number): void => {
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined) lower(parent, at(low, node));
    if (low[node] !== index[node]) return;
    const component = stack.splice(stack.lastIndexOf(node));
    for (const member of component) onStack[member] = 0;
    if (component.length > 1) components.push(component);
  };

  for (let root = 0; root < count; root++) {
    if (index[root] !== -1) continue;
    enter(root);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const edge = at(next, node);
      if (edge === starts[node + 1]) {
        leave(node);
        continue;
      }
      next[node] = edge + 1;
      if (!follows(edge)) continue;
      const target = at(targets, edge);
      if (index[target] === -1) enter(target);
      else if (onStack[target] === 1) lower(node, at(index, target));
    }
  }
  return components;
}

/** What is there by construction. */
export function at(values: Int32Array | Uint8Array, position: number): number {
  return values[position] as number;
}
