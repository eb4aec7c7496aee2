/**
 * What the entry points of the published packages export, as their users see it: the declarations that the compiler makes of
 * the sources, cut into symbols, each with its doc comment.
 *
 * Made with the last compiler that has a stable API in JavaScript; that of the one which checks the code is marked unstable.
 */
import ts from 'typescript';
import { readProjectFile, root } from '../tidy/files.ts';

export interface EntryPoint {
  /** `@auth-service/guard/fastify` */
  readonly specifier: string;
  /** From the root of the workspace. */
  readonly source: string;
}

export interface Exported {
  readonly name: string;
  readonly kind: 'function' | 'class' | 'type' | 'value';
  /** Paragraphs of Markdown; empty where there is no doc comment. */
  readonly doc: string;
  /** TypeScript, as declared, with the types of its file that have no export of their own. */
  readonly code: string;
  /** Names that the declaration uses, its own aside. */
  readonly uses: ReadonlySet<string>;
  /** Those of them that are types of these packages: who reads the declaration looks for them. */
  readonly needs: readonly string[];
}

export interface Module extends EntryPoint {
  /** The comment at the head of the source. */
  readonly head: string;
  /** By name. */
  readonly exports: readonly Exported[];
}

type Statements = ReadonlyMap<string, readonly ts.Statement[]>;

/** In the order of the package's `exports`. */
export function entryPointsOf(packageFolder: string): readonly EntryPoint[] {
  const manifest = JSON.parse(readProjectFile(`${packageFolder}/package.json`)) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, { readonly types: string }>>;
  };
  return Object.entries(manifest.exports).map(([path, { types }]) => ({
    specifier: manifest.name + path.slice(1),
    source: `${packageFolder}/${types.slice(2)}`,
  }));
}

export function readModules(entryPoints: readonly EntryPoint[]): readonly Module[] {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile) as { readonly config: unknown };
  const { options } = ts.parseJsonConfigFileContent({ ...(config as object), files: [] }, ts.sys, root);
  const program = ts.createProgram(
    entryPoints.map(({ source }) => root + source),
    { ...options, noEmit: false, declaration: true, emitDeclarationOnly: true, rewriteRelativeImportExtensions: true },
  );
  const checker = program.getTypeChecker();
  const declared = new Map<ts.SourceFile, Statements>();

  function statementsOf(file: ts.SourceFile): Statements {
    const known = declared.get(file);
    if (known !== undefined) return known;
    let text = '';
    program.emit(file, (_, emitted) => (text = emitted), undefined, true);
    const made = cut(text);
    declared.set(file, made);
    return made;
  }

  const scopes = new Map<ts.SourceFile, ReadonlyMap<string, ts.Declaration | undefined>>();

  /** Where a type of this name is declared, as seen from the file of `from`. */
  function declarationOf(name: string, from: ts.Node): ts.Declaration | undefined {
    const file = from.getSourceFile();
    let scope = scopes.get(file);
    if (scope === undefined) {
      const symbols = checker.getSymbolsInScope(file, ts.SymbolFlags.Type | ts.SymbolFlags.Alias);
      scope = new Map(
        symbols.map((symbol) => {
          const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
          return [symbol.name, target.declarations?.[0]];
        }),
      );
      scopes.set(file, scope);
    }
    return scope.get(name);
  }
  const isOwnType = (name: string, from: ts.Node): boolean => {
    const fileName = declarationOf(name, from)?.getSourceFile().fileName ?? '.d.ts';
    return !fileName.endsWith('.d.ts') && !fileName.includes('/node_modules/');
  };
  const isExported = (name: string, from: ts.Node): boolean => {
    const declaration = declarationOf(name, from);
    return declaration !== undefined && (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Export) !== 0;
  };

  return entryPoints.map((entry) => {
    const file = program.getSourceFile(root + entry.source);
    const symbol = file && checker.getSymbolAtLocation(file);
    if (file === undefined || symbol === undefined) throw new Error(`${entry.source} is no module`);
    const exported = checker.getExportsOfModule(symbol).map((found) => {
      const target = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      const [declaration] = target.declarations ?? [];
      const siblings: Statements = declaration ? statementsOf(declaration.getSourceFile()) : new Map();
      const statements = siblings.get(target.name);
      if (declaration === undefined || statements === undefined)
        throw new Error(`${entry.specifier}: no declaration of ${found.name}`);
      const described = describe(found.name, statements, siblings);
      const own = [...described.uses].filter((name) => isOwnType(name, declaration));
      const local = own.flatMap((name) => (isExported(name, declaration) ? [] : (siblings.get(name) ?? [])));
      return {
        ...described,
        code: [described.code, ...local.map(codeOf)].join('\n\n'),
        doc: docOf(declaration),
        needs: own.filter((name) => isExported(name, declaration)),
      };
    });
    return { ...entry, head: headOf(file.text), exports: exported.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  });
}

/** Declarations by name; overloads and a type beside its value share one. */
function cut(text: string): Statements {
  const file = ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true);
  const found = new Map<string, ts.Statement[]>();
  for (const statement of file.statements) {
    for (const name of namesOf(statement)) found.set(name, [...(found.get(name) ?? []), statement]);
  }
  return found;
}

function namesOf(statement: ts.Statement): readonly string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const { name } = statement as { readonly name?: ts.Node };
  return name === undefined ? [] : [name.getText()];
}

function describe(
  name: string,
  statements: readonly ts.Statement[],
  siblings: Statements,
): Omit<Exported, 'doc' | 'needs'> {
  const [first] = statements;
  if (first === undefined) throw new Error(`${name} is declared nowhere`);
  const uses = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && isReference(node)) uses.add(node.text);
    ts.forEachChild(node, visit);
  };
  statements.forEach(visit);
  uses.delete(name);
  const code = shapeOf(first, siblings) ?? statements.map(codeOf).join('\n');
  return { name, kind: kindOf(first), code, uses };
}

/**
 * A schema and the type of what it describes are declared as one of the other: the members are shown once, at the type, or at
 * the schema where no type is exported.
 */
function shapeOf(statement: ts.Statement, siblings: Statements): string | undefined {
  if (ts.isTypeAliasDeclaration(statement)) {
    const schema = siblings.get(schemaOf(statement) ?? '')?.[0];
    const described = schema && describedBy(schema);
    return described && plain(`type ${statement.name.text} = ${described.getText()};`);
  }
  if (describedBy(statement) === undefined) return undefined;
  const [name = ''] = namesOf(statement);
  const typed = [...siblings].find(([, [one]]) => one && ts.isTypeAliasDeclaration(one) && schemaOf(one) === name);
  return typed && `const ${name}: Schema<${typed[0]}>;`;
}

/** `Name` of `Static<typeof Name>`. */
function schemaOf({ type }: ts.TypeAliasDeclaration): string | undefined {
  if (!ts.isTypeReferenceNode(type) || type.typeName.getText() !== 'Static') return undefined;
  const [argument] = type.typeArguments ?? [];
  return argument && ts.isTypeQueryNode(argument) ? argument.exprName.getText() : undefined;
}

/** `T` of `const name: Schema<T>`. */
function describedBy(statement: ts.Statement): ts.TypeNode | undefined {
  const type = ts.isVariableStatement(statement) ? statement.declarationList.declarations[0]?.type : undefined;
  if (type === undefined || !/^(import\("[^"]+"\)\.)?Schema</.test(type.getText())) return undefined;
  return (type as ts.ImportTypeNode | ts.TypeReferenceNode).typeArguments?.[0];
}

/** Not the name of a member or parameter. */
const isReference = ({ parent }: ts.Identifier): boolean =>
  ts.isTypeReferenceNode(parent) ||
  ts.isTypeQueryNode(parent) ||
  ts.isExpressionWithTypeArguments(parent) ||
  ts.isImportTypeNode(parent);

function kindOf(statement: ts.Statement): Exported['kind'] {
  if (ts.isClassDeclaration(statement)) return 'class';
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return 'type';
  if (ts.isFunctionDeclaration(statement)) return 'function';
  const type = ts.isVariableStatement(statement) ? statement.declarationList.declarations[0]?.type : undefined;
  return type !== undefined && ts.isFunctionTypeNode(type) ? 'function' : 'value';
}

/** Without what is said elsewhere: its doc comment, that it is exported, and from which file a type comes. */
const codeOf = (statement: ts.Statement): string => plain(statement.getText());

const plain = (code: string): string =>
  code
    .replace(/^export (?:declare )?/, '')
    .replaceAll(/import\("[^"]+"\)\./g, '')
    .replaceAll('    ', '  ')
    .replaceAll(/ +$/gm, '');

/** The comment just above. One at the head of the file is about the file. */
function docOf(declaration: ts.Node | undefined): string {
  if (declaration === undefined) return '';
  const comment = ts.getJSDocCommentsAndTags(declaration).findLast((found) => found.kind === ts.SyntaxKind.JSDoc);
  return comment === undefined || comment.pos === 0 ? '' : proseOf(comment.getText());
}

const headOf = (source: string): string => proseOf(/^\/\*\*[\s\S]*?\*\//.exec(source)?.[0] ?? '');

/** The words of a comment, as they were broken into lines. */
const proseOf = (comment: string): string =>
  comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim();
