namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>Which characters are frequent in which language. Orders matter, exact frequencies do not: a wrong encoding is wrong nearly everywhere.</summary>
internal static class LanguageTables
{
    public static readonly Language[] Western =
    [
        Language.Latin("English", "||é|ïèêñöüäâçóáô", "the of and to in is that it for was on with as be at by this are from not"),
        Language.Latin("French", "é|àè|êç|ôùûîâëïœæÿ", "de la le les et des en un une du est que dans pour qui par sur au ne pas plus avec"),
        Language.Latin("German", "üä|öß||é", "der die und in den von zu das mit sich des auf ist im dem nicht ein eine als auch es an werden aus er hat"),
        Language.Latin("Spanish", "óíáé|ñ¿|ú¡|üª", "de la que el en y a los se del las un por con una su para es al lo como no"),
        Language.Latin("Portuguese", "ãçáé|óíêõ|âúà|ôª", "de a que o e do da em um para com uma os no se na por mais as dos como mas ao"),
        Language.Latin("Italian", "èà|òùé|ì|", "di e il la che in a per un del non una i con le si da come dei nel"),
        Language.Latin("Swedish", "äåö||é|", "och i att det som en av den med till var inte om ett han men de hade jag"),
        Language.Latin("Danish", "øåæ||é|ôò", "og i at det en den til er som de med han af for ikke der var mig sig men et har om vi"),
        Language.Latin("Finnish", "äö||å|", "ja on ei se oli hän mutta kun niin että ovat joka sen jos myös mukaan ole"),
        Language.Latin("Icelandic", "|ðáíþé|óöúæý|", "og sem ekki er var hann en um af til hafa fyrir"),
        Language.Latin("Dutch", "|||ëéïèöüê", "de en van het een in is dat op te zijn met voor niet aan er om ook als bij maar"),
        Language.Latin("Catalan", "àèéí|òóç|ïúü·|", "de la i que el a en els un les per amb del una al es no"),
    ];

    public static readonly Language[] Central =
    [
        Language.Latin("Polish", "łęąż|óśćńź||", "nie w na i z do jest to jak o po co tak za od tylko przez dla ale jego oraz a ma przy jej lub ich tym gdzie czy"),
        Language.Latin("Czech", "íáéěý|řžčšů|úťďňó|", "a je v se na s z o do to ve po za od jak ale by tak jeho byl bylo"),
        Language.Latin("Slovak", "áíčéýž|šúľťňô|ďäóŕĺ|", "a je v sa na s z o do to vo po za od ako ale by tak jeho bol bolo"),
        Language.Latin("Hungarian", "éáö|őóíü|úű|", "a az hogy nem is egy ez van volt csak de ha meg mint vagy el kell minden ki be fel nincs itt ott nagy"),
        Language.Latin("Romanian", "ăî|âşţ||", "de la cu nu pe din care a un o ce mai au sunt ale prin dar sau este fi fost lui ca se al toate"),
        Language.Latin("Croatian", "čšžć|đ||", "je i u se na da za su od sa ne bi a o s koji kao ili ali ona po do iz bilo ima nije samo te ako koje"),
    ];

    public static readonly Language[] Turkish = [Language.Latin("Turkish", "ıü|şğöç|İ|âîû", "bir ve bu da de ne gibi daha ile olarak olan kadar ama en o var sonra her mi ya ki onun biri hem veya")];

    public static readonly Language[] Baltic =
    [
        Language.Latin("Latvian", "āī|ēšū|ņļčžķģ|", "un ir no uz ka par bet ar ko kas lai vai tika to"),
        Language.Latin("Lithuanian", "ėš|ųžįąęčū||", "ir kad yra su bet i o tai jis buvo kaip nuo iki ar po apie"),
        Language.Latin("Estonian", "äõü|ö||šž", "ja on ei et oli ta see kui ka oma aga mis selle ning"),
    ];

    public static readonly Language[] Cyrillic =
    [
        Language.Alphabet("Russian", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"),
        Language.Alphabet("Ukrainian", "оанивітерслкудмпязьбгчйхжїцшєюґщф"),
        Language.Alphabet("Bulgarian", "аеоитнрсвлдпкмзябгущчжъхцшюйьф"),
        Language.Alphabet("Serbian", "аиоенртсвјукдмплзгбшчћцњхжфљђџ"),
        Language.Alphabet("Belarusian", "аінеорсктўялыдпучмьзгбжцшёэхйюф"),
    ];

    public static readonly Language[] Greek = [Language.Alphabet("Greek", "αοιετσνηυρπκμλςωγδίάέόήθχύφβώξζψϊϋΐΰ")];

    public static readonly Language[] Hebrew = [Language.Alphabet("Hebrew", "יוהלאתרבמשנםדעקחפכגטזסןצךףץ")];

    public static readonly Language[] Arabic = [Language.Alphabet("Arabic", "اليمونرتبةعدفهسكقحجشصىطخءضذثزأغظإئؤآ،؟گپچژ")];

    public static readonly Language[] Thai =
    [
        Language.Alphabet("Thai", "านรอกเง่มย้ลวดัทิสตะีปบคหแจุพชข์ึื็ไใูำถโศผณซธฟญภฐษฎฉฝๆฮฬฆฏฌฑฒฯ๐๑๒๓๔๕๖๗๘๙"),
    ];

    public static readonly Language[] Japanese =
    [
        Language.Ideographs(
            "Japanese",
            "日一国人年大十二本中長出三時行見月後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨会同事自社発者地業方新場員立開手力問代明動京目通言理体田主題意不作用度強公持野以思家世多正安院心界教文元重近考画海売知道集別物使品計死特私始朝運終台広住無真有口少町料工建空急止送切転研足究楽起着店病質待試族銀早映親験英医仕去味写字答夜音注帰古歌買悪図週室歩風紙黒花春赤青館屋色走秋夏習駅洋旅服情報性的部化対合当要成分法実現関係設定可能必変更確認表示処機接続管",
            "のにはをたとがでてしいなるれかもらすりっまこくうきさあんよけせそどめちだえつみわやほばべねへおふぐげじろごょゃびゅむゆぶずひぎざぞぜぼぬぱぽぺぷぴづぢゎーンスルトリイアラクシドレッタフロマサコテバグジムカメプィオナキパデュブチセウニビダョエポダハミベソノモャガネヒツォヤユボホケァワヘペゴズザヨピギゼゲヌェヴゾ"),
    ];

    public static readonly Language[] Simplified =
    [
        Language.Ideographs(
            "Simplified Chinese",
            "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔"),
    ];

    public static readonly Language[] Traditional =
    [
        Language.Ideographs(
            "Traditional Chinese",
            "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運"),
    ];

    public static readonly Language[] Korean =
    [
        Language.Ideographs(
            "Korean",
            "이다는에의가을고은로하지어기서한사리자시도대인라들를아수정그나있해과부일만제보것주구스게전상으원여적안선성장요오소동유공조우신연미국거무경마면위바중비내문모계치러세진방관생회실말했와드분학심음때발화예간두개당민트습니등까재려술설단년입없변란않데른같할된르업체양남력법현식월았었였던운용물행목금명차통점산각물결질터네번름야외반파강후타감래크림영약불록히포달호프석임속작품키피출추노집열날맞뒤먼저쪽길손눈몸벌색꽃책"),
    ];
}
